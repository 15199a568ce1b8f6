"""`python -m devices.agent`, which is `leukolens-agent` where the whole product is checked out."""

from .cli import main

main()
