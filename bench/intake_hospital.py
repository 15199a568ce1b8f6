"""Founds the hospital of `bench.intake` in the database of the environment; tells its keys.

A process of its own, because Django speaks to one database in the life of a process.
"""

import json
import sys

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402

from devices.services.keys import issue_key  # noqa: E402
from devices.services.registry import register_device  # noqa: E402
from diagnostics.services.specimens import register_specimen  # noqa: E402
from tests.world import SETUP, found  # noqa: E402

DEVICES, SPECIMENS = 16, 480  # each microscope has its share of the specimens

call_command("migrate", verbosity=0)
call_command("collectstatic", verbosity=0, interactive=False)
world = found()
names = [f"B-{number}" for number in range(DEVICES)]
devices = [
    register_device(actor=SETUP, clinic=world.clinic, name=n, make="Bench", model="1", serial=n)
    for n in names
]
labels = [f"B-{number:04}" for number in range(SPECIMENS)]
for label in labels:
    register_specimen(
        actor=SETUP,
        patient=world.patient,
        accession=label,
        collected_at=world.specimen.collected_at,
    )
keys = [issue_key(actor=SETUP, device=device) for device in devices]
told = {"keys": keys, "labels": labels, "web_workers": settings.WEB_WORKERS}
json.dump(told, sys.stdout)
