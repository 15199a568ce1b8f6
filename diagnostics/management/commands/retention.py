"""`manage.py retention`: how long things are kept, legal holds, and erasing a patient."""

import getpass
from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from diagnostics.models import Specimen
from diagnostics.services import retention
from diagnostics.services.erasure import erase_patient
from hospital.audit.services import Actor
from hospital.base.problems import Refusal
from patients import holds
from patients.models import Kept, LegalHold, Patient


class Command(BaseCommand):
    """Each deed is in the audit trail, with the system account that ran the command."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The deeds; without one, what is due goes."""
        parser.add_argument("--dry-run", action="store_true", help="only say what would go")
        deeds = parser.add_subparsers(dest="deed")
        keep = deeds.add_parser("keep", help="set how long a kind is kept")
        keep.add_argument("kind", choices=Kept.values)
        keep.add_argument("days", type=int, help="0: for good")
        keep.add_argument("--until-age", type=int, default=0, help="of patients, in years")
        hold = deeds.add_parser("hold", help="keep a patient's data whatever the rules say")
        hold.add_argument("subject", help="the patient's id, or a specimen's accession number")
        hold.add_argument("--reason", required=True)
        deeds.add_parser("lift", help="end a hold").add_argument("hold", type=UUID)
        deeds.add_parser("holds", help="the holds in force")
        erase = deeds.add_parser("erase", help="erase a patient for good")
        erase.add_argument("patient", type=UUID)
        erase.add_argument("--reason", required=True, help="without a name")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it."""
        self.actor = Actor.system(f"retention command ({getpass.getuser()})")
        deed = options["deed"] or "run"
        try:
            getattr(self, f"_{deed}")(options)
        except Refusal as refusal:
            raise CommandError(refusal.detail) from None
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from None
        except (Patient.DoesNotExist, LegalHold.DoesNotExist):
            raise CommandError("There is none with this id.") from None

    def _run(self, options: dict[str, Any]) -> None:
        dry = options["dry_run"]
        found = retention.due() if dry else retention.apply(actor=self.actor)
        for one in found:
            verb = "would go" if dry else "gone"
            kept = f", {one.held} kept by a legal hold" if one.held else ""
            failed = f", {one.failed} could not be erased" if one.failed else ""
            self.stdout.write(f"{one.rule}: {one.count} {verb}{kept}{failed}")
        if not found:
            self.stdout.write("There are no rules: everything is kept for good.")
        if any(one.failed for one in found):
            raise CommandError("Some patients could not be erased: the log says why. Run it again.")

    def _keep(self, options: dict[str, Any]) -> None:
        kind, days = options["kind"], options["days"]
        if days:
            until = options["until_age"]
            rule = retention.set_rule(actor=self.actor, kind=kind, days=days, until_age=until)
            self.stdout.write(str(rule))
        else:
            retention.drop_rule(actor=self.actor, kind=kind)

    def _hold(self, options: dict[str, Any]) -> None:
        subject = options["subject"]
        specimen = Specimen.objects.filter(accession=subject).first()
        patient = specimen.patient if specimen else Patient.objects.get(pk=_uuid(subject))
        hold = holds.place(
            actor=self.actor,
            patient=patient,
            reason=options["reason"],
            accession=specimen.accession if specimen else "",
        )
        self.stdout.write(f"{hold.pk}")

    def _lift(self, options: dict[str, Any]) -> None:
        holds.lift(actor=self.actor, hold=LegalHold.objects.get(pk=options["hold"]))

    def _holds(self, options: dict[str, Any]) -> None:
        for hold in holds.in_force():
            what = hold.accession or f"patient {hold.patient_id}"
            self.stdout.write(
                f"{hold.pk} {what}, since {hold.placed_at:%Y-%m-%d} by {hold.placed_by}: "
                f"{hold.reason}"
            )

    def _erase(self, options: dict[str, Any]) -> None:
        patient = Patient.objects.get(pk=options["patient"])
        if options["dry_run"]:
            holds.ensure_free(patient)
            self.stdout.write(f"Patient {patient.pk} would be erased.")
            return
        counts = erase_patient(actor=self.actor, patient=patient, reason=options["reason"])
        told = ", ".join(f"{count} {what}" for what, count in counts.items())
        self.stdout.write(f"Patient {patient.pk} is erased: {told}.")


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise CommandError(f"{text} is neither a patient's id nor an accession number.") from None
