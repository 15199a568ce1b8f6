"""Simulated microscopes: everything real but the glass, and a network that misbehaves on purpose.

    python -m devices.simulator --key llk_… --accession A-1 pictures/
    python -m devices.simulator --config fleet.toml --faults 0.05

- `cli` the command, `plan` what it is asked for
- `fleet` the microscopes as processes of their own, killed and started again
- `microscope` one of them: camera, queue, sender, heartbeat; `taken` its list of what it took
- `wire` the network in between, `faults` how often what goes wrong
- `ledger` what was taken and what became of it, by the hospital's own word
- `delivery` pictures sent one after another through the plain client, for the demonstration

It imports the agent and nothing else of the product; `ml.synthetic` only to draw smears, if it is
there.
"""
