"""Reports on paper: what is said (`statement`), in which words (`sheet`), set by Typst (`setting`).

`diagnostics.services.printing` is the door: it knows who may print what, and leaves a trace.
"""
