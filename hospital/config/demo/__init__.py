"""The demonstration: a hospital, a simulated microscope, and a screen that watches.

`hospital` founds it through the product's own services, `logins` keeps its passwords, `pictures`
chooses what is sent, `history` gives the microscopes a past and `pulse` keeps them alive, `screen`
is a haematologist's browser, `ledger` remembers what was sent and what came of it, `show` is what
the terminal shows, `embedded` the stack below, `play` the whole.
"""
