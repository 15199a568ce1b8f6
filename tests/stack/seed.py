"""Founds tests/world.py in the database of a running stack; prints what tests need as JSON.

A process of its own, because it speaks to the stack's database and not to pytest's.
"""

import json
import sys

import django

django.setup()

from devices.services.registry import save_device  # noqa: E402
from tests.world import PASSWORD, SETUP, add_specimen, found  # noqa: E402

SPECIMENS = 60

world = found()
world.device.ae_title = "OPTIKA-W1"
save_device(actor=SETUP, device=world.device)
for number in range(SPECIMENS):
    add_specimen(world.patient, f"T-{number:03}")
json.dump(
    {
        "key": world.key,
        "accessions": [f"T-{number:03}" for number in range(SPECIMENS)],
        "username": world.haematologist.username,
        "password": PASSWORD,
    },
    sys.stdout,
)
