"""The embedded installation: every process of the product on one machine, kept alive.

`run` puts it together; `broker` and `processes` say what there is to start, `prepare` what must be
so before; `child` holds one process, `supervisor` all of them, `record` who runs where.
"""
