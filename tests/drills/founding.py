"""Founds two clinics with microscopes and specimens in a running stack's database; prints JSON.

    python -m tests.drills.founding 20 6      # microscopes, specimens for each

A process of its own, because it speaks to the stack's database and not to pytest's.
"""

import json
import sys
from datetime import UTC, date, datetime
from typing import Any


def found(microscopes: int, specimens: int) -> list[dict[str, Any]]:
    """Name, key and accession numbers of each microscope. Django must be set up."""
    from devices.services.keys import issue_key
    from devices.services.registry import register_device
    from diagnostics.services.specimens import register_specimen
    from hospital.accounts.services import found_clinic
    from hospital.audit.services import Actor
    from patients.services import register_patient

    drill = Actor.system("drill")
    clinics = [
        found_clinic(actor=drill, code=code, name=f"Drill {code}")
        for code in ("drill-n", "drill-s")
    ]
    founded = []
    for number in range(1, microscopes + 1):
        clinic = clinics[number % len(clinics)]
        name = f"scope-{number:02}"
        device = register_device(
            actor=drill, clinic=clinic, name=name, make="Drill", model="W1", serial=name
        )
        accessions = []
        for which in range(1, specimens + 1):
            # A patient each: pictures under another specimen are pictures of another patient.
            patient = register_patient(
                actor=drill,
                clinic=clinic,
                mrn=f"D{number:02}-{which:02}",
                family_name=f"Drill{number}",
                given_names=f"Patient{which}",
                birth_date=date(2015, 1, 1),
                sex="female",
            )
            specimen = register_specimen(
                actor=drill,
                patient=patient,
                accession=f"D-{number:02}-{which:02}",
                collected_at=datetime(2026, 1, 1, tzinfo=UTC),
            )
            accessions.append(specimen.accession)
        key = issue_key(actor=drill, device=device)
        founded.append({"name": name, "key": key, "accessions": accessions})
    return founded


if __name__ == "__main__":
    import django

    django.setup()
    json.dump(found(*map(int, sys.argv[1:])), sys.stdout)
