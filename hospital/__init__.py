"""The hospital's frame: accounts, audit, live events, and the composition root in `config`."""
