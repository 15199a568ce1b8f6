"""Makes the database and the pages' files ready, founds the drill's hospital, prints it as JSON.

    python -m tests.drills.faults.founding 12 6     # microscopes, specimens for each

One process for all of it: on two slow cores a start costs seconds.
"""

import json
import sys

import django

if __name__ == "__main__":
    django.setup()

    from django.core.management import call_command

    from hospital.accounts.models import Clinic
    from hospital.accounts.roles import Role
    from hospital.accounts.services import grant_role, open_account
    from hospital.audit.services import Actor
    from tests.drills.founding import found

    PASSWORD = "a-drill-and-nothing-but-a-drill"

    call_command("migrate", interactive=False, verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)
    microscopes = found(*map(int, sys.argv[1:]))
    drill = Actor.system("drill")
    clinics = list(Clinic.objects.order_by("code"))
    staff = []
    for clinic in clinics:
        user = open_account(actor=drill, username=clinic.code, password=PASSWORD, full_name="Drill")
        grant_role(actor=drill, user=user, clinic=clinic, role=Role.HAEMATOLOGIST)
        staff.append({"name": user.username, "password": PASSWORD, "topic": f"clinic.{clinic.pk}"})
    json.dump({"microscopes": microscopes, "staff": staff}, sys.stdout)
