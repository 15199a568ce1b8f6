"""A small hospital to test in, founded through the product's own services."""

import base64
import hashlib
import io
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
from django.db import connection
from PIL import Image

from devices.models import Device
from devices.services.keys import issue_key
from devices.services.registry import register_device
from diagnostics.models import (
    Analysis,
    ConclusionGroup,
    ControlSlide,
    DiagnosticReport,
    EscalationStep,
    FieldImage,
    FoundCells,
    Outcome,
    ReadingRule,
    ReleaseWay,
    Specimen,
    Wish,
)
from diagnostics.services import (
    analyses,
    contacts,
    escalation,
    intake,
    looking,
    reading_rules,
    release,
    signing,
)
from diagnostics.services.controls import save_slide
from diagnostics.services.results import Found, succeed_all
from diagnostics.services.specimens import register_specimen
from hospital.accounts.models import Clinic, User
from hospital.accounts.roles import Role
from hospital.accounts.services import found_clinic, grant_role, open_account
from hospital.accounts.signin import lockouts
from hospital.audit.services import Actor
from hospital.base import files
from patients import invitations
from patients.models import Patient, Relation
from patients.services import grant_portal_access, register_patient

PASSWORD = "a-long-enough-pass-phrase"
SETUP = Actor.system("tests")
SURE = {"benign": 0.01, "early_pre_b": 0.02, "pre_b": 0.95, "pro_b": 0.02}
BENIGN = {"benign": 0.97, "early_pre_b": 0.01, "pre_b": 0.01, "pro_b": 0.01}
UNSURE = {"benign": 0.35, "early_pre_b": 0.40, "pre_b": 0.15, "pro_b": 0.10}


@dataclass
class World:
    """Two clinics that must never see each other, and everyone in them."""

    clinic: Clinic
    other_clinic: Clinic
    technician: User
    haematologist: User
    device_manager: User
    administrator: User
    outsider: User
    superuser: User
    patient: Patient
    other_patient: Patient
    guardian: User
    stranger: User
    device: Device
    key: str
    other_device: Device
    other_key: str
    specimen: Specimen
    other_specimen: Specimen
    control_slide: ControlSlide
    other_control_slide: ControlSlide
    _smears: dict[int, bytes] = field(default_factory=dict)

    def smear(self, seed: int = 0) -> bytes:
        """A JPEG that looks enough like a smear for intake; each seed gives other bytes."""
        if seed not in self._smears:
            self._smears[seed] = jpeg(seed)
        return self._smears[seed]

    def receive(self, seed: int = 0, *, specimen: Specimen | None = None) -> FieldImage:
        """Take in one picture through the intake service, as the clinic's own microscope."""
        specimen = specimen or self.specimen
        device = self.device if specimen.clinic_id == self.clinic.pk else self.other_device
        body = self.smear(seed)
        image, _ = intake.receive(
            device=device,
            image_id=uuid.uuid4(),
            body=body,
            content_digest=content_digest(body),
            accession=specimen.accession,
        )
        return image

    def claim(self, image: FieldImage, *, worker: str = "tests") -> Analysis:
        """Claim the picture's queued analysis as a worker would."""
        for analysis in analyses.claim(worker=worker, limit=100):
            if analysis.image_id == image.pk:
                return analysis
        raise AssertionError("nothing was queued for this picture")

    def succeed(
        self,
        image: FieldImage,
        probabilities: dict[str, float] | None = None,
        *,
        outcome: str = Outcome.CLASSIFIED,
        rejection: str = "",
    ) -> Analysis:
        """Put a result on the picture's queued analysis, as the pipeline would."""
        analysis = self.claim(image)
        result = result_of(analysis, probabilities or SURE, outcome)
        assert store_result(analysis, outcome=outcome, rejection=rejection, result=result)
        return analysis

    def outline(self, analysis: Analysis, *, cells: int = 3) -> None:
        """Keep outlines of so many round cells of the analysis's picture, as the pipeline would."""
        from ml import outlines
        from ml.segmentation import Cell, Segmentation

        round_ = [[0, -9], [6, -6], [9, 0], [6, 6], [0, 9], [-6, 6], [-9, 0], [-6, -6]]
        centres = [(30 + 40 * (n % 5), 30 + 40 * (n // 5)) for n in range(cells)]
        found = tuple(
            Cell(np.add(round_, centre).astype(np.int32), centre, 230, (120, 60, 160))
            for centre in centres
        )
        packed = outlines.pack(Segmentation(np.zeros((224, 224), bool), found, 0.2))
        FoundCells.objects.create(analysis=analysis, outlines=packed)

    def release(
        self, way: str, *, group: str = ConclusionGroup.ANY, hours: int | None = None
    ) -> None:
        """The clinic's rule: when its families may read."""
        release.set_rule(actor=SETUP, clinic=self.clinic, group=group, way=way, hours=hours)

    def own_call_first(self) -> None:
        """The clinic's rule: readers call before the model's word is shown to them."""
        rule = ReadingRule.objects.get(clinic=self.clinic)
        rule.own_call_first = True
        reading_rules.save_rule(actor=SETUP, rule=rule)

    def critical_from(self, critical: str) -> None:
        """The clinic's rule: from when on a malignant pattern is critical."""
        rule = ReadingRule.objects.get(clinic=self.clinic)
        rule.critical = critical
        reading_rules.save_rule(actor=SETUP, rule=rule)

    def call(self, report: DiagnosticReport, **given: str) -> Any:
        """The haematologist notes a call; unless said otherwise to a guardian, not read back."""
        usual = {"relation": "guardian", "outcome": "reached", "name": "Nadia Rahman"}
        report = DiagnosticReport.objects.get(pk=report.pk)
        return contacts.note(
            user=self.haematologist,
            report=report,
            value=contacts.value_of(report),
            call=contacts.Call(**(usual | given)),
        )

    def at_once(self) -> None:
        """The paper's rule: families read what nobody has signed."""
        self.release(ReleaseWay.AT_ONCE)

    def reported(self, probabilities: dict[str, float] | None = None) -> DiagnosticReport:
        """A report with one classified picture."""
        self.succeed(self.receive(seed=uuid.uuid4().int % 10_000), probabilities)
        return DiagnosticReport.objects.get(specimen=self.specimen)


def found() -> World:
    """Found the hospital in the current database."""
    north = found_clinic(actor=SETUP, code="north", name="North Clinic", telephone="555 0100")
    south = found_clinic(actor=SETUP, code="south", name="South Clinic", telephone="555 0200")
    patient = add_patient(north, "N-1", "Rahman", "Amina")
    other_patient = add_patient(south, "S-1", "Okafor", "Chidi")
    guardian, stranger = _account("guardian", "Nadia Rahman"), _account("stranger", "Eze Okafor")
    for who, whom in [(patient, guardian), (other_patient, stranger)]:
        grant_portal_access(actor=SETUP, patient=who, user=whom, relation=Relation.GUARDIAN)
        invitations.issue(actor=SETUP, patient=who, relation=Relation.GUARDIAN)
    for clinic, who in [(north, patient), (south, other_patient)]:
        usual = ReleaseWay.ON_SIGNATURE
        release.set_rule(actor=SETUP, clinic=clinic, group=ConclusionGroup.ANY, way=usual)
        release.set_wish(actor=SETUP, patient=who, wish=Wish.AS_RULE)
        reading_rules.save_rule(actor=SETUP, rule=ReadingRule(clinic=clinic))
        step = EscalationStep(clinic=clinic, minutes=0, role=Role.HAEMATOLOGIST)
        escalation.save_step(actor=SETUP, step=step)
    device, other_device = _device(north, "SN-1"), _device(south, "SN-2")
    world = World(
        clinic=north,
        other_clinic=south,
        technician=_staff("technician", "Tara Lindt", north, Role.TECHNICIAN),
        haematologist=_staff("haematologist", "Hana Sato", north, Role.HAEMATOLOGIST),
        device_manager=_staff("manager", "Dev Patel", north, Role.DEVICE_MANAGER),
        administrator=_staff("administrator", "Ada Moreau", north, Role.ADMINISTRATOR),
        outsider=_staff("outsider", "Olga Petrova", south, Role.HAEMATOLOGIST),
        superuser=open_account(
            actor=SETUP,
            username="superuser",
            password=PASSWORD,
            full_name="Sue Root",
            is_superuser=True,
        ),
        patient=patient,
        other_patient=other_patient,
        guardian=guardian,
        stranger=stranger,
        device=device,
        key=issue_key(actor=SETUP, device=device),
        other_device=other_device,
        other_key=issue_key(actor=SETUP, device=other_device),
        specimen=add_specimen(patient, "N-2026-0001"),
        other_specimen=add_specimen(other_patient, "S-2026-0001"),
        control_slide=_control_slide(north, "N-CONTROL"),
        other_control_slide=_control_slide(south, "S-CONTROL"),
    )
    for user in (world.technician, world.outsider):
        lockouts.begin(user.username)  # somebody has mistyped a password
    return world


def store_result(analysis: Analysis, **found: Any) -> bool:
    """Store what was `found` in one run; False, and nothing is stored, if its lease was lost."""
    if not succeed_all([Found(analysis=analysis, **found)]):
        return False
    analysis.refresh_from_db()
    return True


def add_patient(clinic: Clinic, mrn: str, family: str, given: str) -> Patient:
    """A child of the clinic."""
    return register_patient(
        actor=SETUP,
        clinic=clinic,
        mrn=mrn,
        family_name=family,
        given_names=given,
        birth_date=date(2019, 4, 2),
        sex="female",
    )


def add_specimen(patient: Patient, accession: str) -> Specimen:
    """Another blood sample, taken when the first was."""
    return register_specimen(
        actor=SETUP,
        patient=patient,
        accession=accession,
        collected_at=datetime(2026, 11, 20, 9, 30, tzinfo=UTC),
    )


def look(user: User, report: DiagnosticReport) -> None:
    """Every field of the report is on `user`'s screen for long enough."""
    images = FieldImage.objects.filter(specimen=report.specimen_id).values_list("pk", flat=True)
    looking.note_fields_seen(user=user, report=report, images=images)


def look_and_sign(
    user: User, report: DiagnosticReport, conclusion: str = "pre_b", **given: Any
) -> DiagnosticReport:
    """`signing.sign` as it stands, by somebody who has been shown every field."""
    look(user, report)
    usual = {"password": PASSWORD, "version": report.version, "conclusion": conclusion}
    return signing.sign(user=user, report=report, **{**usual, **given})


@contextmanager
def by_hand(table: str) -> Iterator[None]:
    """Somebody with the database's own password, who has taken the guards off `table`."""
    with connection.cursor() as cursor:
        if connection.vendor != "sqlite":
            # What the table's rows refer to is checked now: PostgreSQL wants it so.
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
            yield
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
            return
        cursor.execute(
            "SELECT name, sql FROM sqlite_master WHERE type='trigger' AND tbl_name=%s", [table]
        )
        guards = cursor.fetchall()
        for name, _ in guards:
            cursor.execute(f"DROP TRIGGER {name}")
        yield
        for _, sql in guards:
            cursor.execute(sql)


def content_digest(body: bytes) -> str:
    """The Content-Digest header of `body` (RFC 9530)."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


def jpeg(seed: int, *, side: int = 224) -> bytes:
    """A JPEG of soft random blobs on a pale ground."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(150, 250, size=(14, 14, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC).save(buffer, "JPEG")
    return buffer.getvalue()


def result_of(analysis: Analysis, probabilities: dict[str, float], outcome: str) -> dict[str, Any]:
    """What the pipeline stores for a picture, with pictures of its own."""
    classified = outcome == Outcome.CLASSIFIED
    picture = files.put(f"derived/{analysis.pk}/overlay.jpg", jpeg(1))
    return {
        "package_name": "tests-package",
        "package_digest": "ab" * 32,
        "engine": "tests",
        "preprocessing": "tests",
        "label": max(probabilities, key=lambda c: probabilities[c]) if classified else "",
        "probabilities": probabilities if classified else None,
        "familiarity": 0.8,
        "quality": {"focus": 120.0},
        "cell_count": 7,
        "area_share": 0.12,
        "segmented_key": picture,
        "overlay_key": picture,
        "thumbnail_key": picture,
    }


def _account(username: str, full_name: str) -> User:
    return open_account(actor=SETUP, username=username, password=PASSWORD, full_name=full_name)


def _staff(username: str, full_name: str, clinic: Clinic, role: str) -> User:
    user = _account(username, full_name)
    grant_role(actor=SETUP, user=user, clinic=clinic, role=role)
    return user


def _device(clinic: Clinic, serial: str) -> Device:
    return register_device(
        actor=SETUP, clinic=clinic, name=f"Bench {serial}", make="Optika", model="W1", serial=serial
    )


def _control_slide(clinic: Clinic, label: str) -> ControlSlide:
    slide = ControlSlide(clinic=clinic, label=label, expected="benign")
    return save_slide(actor=SETUP, slide=slide)
