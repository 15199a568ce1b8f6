"""What the tests of diagnostics share."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.db import connection

from diagnostics.models import (
    Analysis,
    ControlRun,
    ControlSlide,
    DiagnosticReport,
    FieldImage,
    Outcome,
    Specimen,
)
from diagnostics.services import controls, intake
from hospital.accounts.models import User
from hospital.accounts.roles import Role
from hospital.accounts.services import grant_role, open_account
from patients.models import Patient
from patients.services import register_patient
from tests.world import (
    BENIGN,
    PASSWORD,
    SETUP,
    SURE,
    World,
    add_specimen,
    content_digest,
    result_of,
    store_result,
)

GOOD = {"focus": 1.8, "brightness": 230.0, "contrast": 150.0, "neutral": 0.95, "stain": 0.05}


@pytest.fixture
def report(world: Any) -> DiagnosticReport:
    """A report with one classified picture, released at once."""
    world.at_once()
    return world.reported(SURE)


@pytest.fixture
def colleague(world: World) -> User:
    """Another haematologist of the clinic."""
    user = open_account(
        actor=SETUP, username="colleague", password=PASSWORD, full_name="Ines Duarte"
    )
    grant_role(actor=SETUP, user=user, clinic=world.clinic, role=Role.HAEMATOLOGIST)
    return user


@pytest.fixture
def slide(world: World) -> ControlSlide:
    """A control slide of the clinic that must read benign, focus in range."""
    slide = ControlSlide(
        clinic=world.clinic, label="QC-1", expected="benign", ranges={"focus": [1.4, 2.2]}
    )
    return controls.save_slide(actor=SETUP, slide=slide)


@pytest.fixture
def gated(world: World) -> World:
    """The world, its clinic's microscope asked for a control slide a day."""
    world.device.control_hours = 24
    world.device.save()
    return world


@pytest.fixture
def second_patient(world: World) -> Patient:
    """Another patient of the same clinic."""
    return register_patient(
        actor=SETUP,
        clinic=world.clinic,
        mrn="N-2",
        family_name="Keita",
        given_names="Moussa",
        birth_date=world.patient.birth_date,
        sex="male",
    )


@pytest.fixture
def second_specimen(world: World, second_patient: Patient) -> Specimen:
    """A specimen of another patient of the same clinic."""
    return add_specimen(second_patient, "N-2026-0002")


Show = Callable[..., ControlRun]


@pytest.fixture
def show(world: World, slide: ControlSlide) -> Show:
    """Show the control slide to the clinic's microscope and read it, well unless told otherwise."""

    def show(
        probabilities: dict[str, float] | None = None,
        *,
        outcome: str = Outcome.CLASSIFIED,
        figures: dict[str, float] | None = None,
        label: str = slide.label,
    ) -> ControlRun:
        image = send(world, label)
        read(world, image, probabilities or BENIGN, outcome=outcome, figures=figures)
        return ControlRun.objects.get(image=image)

    return show


def send(world: World, label: str, *, body: bytes | None = None, device: Any = None) -> FieldImage:
    """The clinic's microscope sends a picture unlike all others, or `body`."""
    body = body or world.smear(uuid.uuid4().int % 100_000)
    image, _ = intake.receive(
        device=device or world.device,
        image_id=uuid.uuid4(),
        body=body,
        content_digest=content_digest(body),
        accession=label,
    )
    return image


def read(
    world: World,
    image: FieldImage,
    probabilities: dict[str, float] = SURE,
    *,
    outcome: str = Outcome.CLASSIFIED,
    figures: dict[str, float] | None = None,
) -> Analysis:
    """A worker reads the picture."""
    analysis = world.claim(image)
    result = result_of(analysis, probabilities, outcome)
    result["quality"] = {"verdict": "ok", "metrics": GOOD | (figures or {})}
    rejection = "out_of_focus" if outcome == Outcome.UNUSABLE else ""
    assert store_result(analysis, outcome=outcome, rejection=rejection, result=result)
    return analysis


def findings(specimen: Specimen) -> dict[str, int]:
    """How the specimen's pictures are counted."""
    return dict(DiagnosticReport.objects.get(specimen=specimen).findings["fields"])


def everything() -> str:
    """All rows of all tables but sessions, as text."""
    told = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f'SELECT * FROM "{table}"')
            told += [f"{table}: {row}" for row in cursor.fetchall() if "session" not in table]
    return "\n".join(told)


def stored(folder: str = "") -> set[str]:
    """Every file of the storage."""
    folders, names = default_storage.listdir(folder)
    own = {f"{folder}/{name}".lstrip("/") for name in names}
    return own.union(*(stored(f"{folder}/{inner}".lstrip("/")) for inner in folders))
