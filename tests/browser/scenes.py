"""A busy morning at the North Clinic, for screenshots and for accessibility checks."""

from datetime import date, timedelta
from typing import Any

from django.utils import timezone

from diagnostics.models import DiagnosticReport, Outcome, Specimen
from diagnostics.services.specimens import register_specimen
from patients.models import Patient, Relation
from patients.services import grant_portal_access, register_patient
from tests.browser.hospital import Hospital
from tests.browser.smears import DRAWN
from tests.world import SETUP

PEOPLE = [
    ("N-1042", "Lindqvist", "Elin", date(2021, 1, 30), "female"),
    ("N-0977", "Keita", "Moussa", date(2016, 9, 17), "male"),
    ("N-1103", "Novak", "Tomas", date(1979, 5, 8), "male"),
    ("N-0815", "Hosseini", "Reza", date(2025, 3, 21), "male"),
    ("N-1140", "Garcia", "Lucía", date(2012, 12, 5), "female"),
]


def shares(benign: float, early: float, pre: float, pro: float) -> dict[str, float]:
    return {"benign": benign, "early_pre_b": early, "pre_b": pre, "pro_b": pro}


CLEAR_PRE = shares(0.004, 0.03, 0.95, 0.016)
CLEAR_BENIGN = shares(0.97, 0.02, 0.006, 0.004)
LEANS_EARLY = shares(0.06, 0.79, 0.11, 0.04)
UNSURE = shares(0.38, 0.44, 0.12, 0.06)
CLEAR_PRO = shares(0.01, 0.02, 0.03, 0.94)


class Morning:
    """Reports in every state; `main` is the one to open."""

    def __init__(self, hospital: Hospital) -> None:
        self.hospital = hospital
        rows = hospital.do(self._people)
        self.main = self._main(rows[0])
        self._simple(rows[1], [("Benign", CLEAR_BENIGN)] * 2, sign="benign")
        self._simple(rows[2], [("Early", UNSURE), ("Early", LEANS_EARLY)])
        self.drawn = self._simple(rows[3], [(DRAWN, CLEAR_PRO), (DRAWN, CLEAR_PRO)])
        self._waiting(rows[4])
        self._simple(hospital.world.specimen, [("Early", LEANS_EARLY)] * 3)

    def _people(self) -> list[Specimen]:
        return [
            specimen_of(_patient(self.hospital, *person), f"N-2026-04{number}7")
            for number, person in enumerate(PEOPLE, start=1)
        ]

    def _main(self, specimen: Specimen) -> DiagnosticReport:
        """Fields of every kind: clear, dissenting, unfamiliar, spoilt, failed."""
        send, hospital = self.hospital.send, self.hospital
        for opinion in [CLEAR_PRE, shares(0.01, 0.05, 0.93, 0.01), CLEAR_PRE]:
            hospital.read(send(specimen=specimen), opinion)
        hospital.read(send(specimen=specimen, kind="Early"), shares(0.05, 0.56, 0.36, 0.03))
        hospital.read(send(specimen=specimen, kind="Pro"), CLEAR_PRO, outcome=Outcome.UNFAMILIAR)
        hospital.read(send(specimen=specimen), outcome=Outcome.UNUSABLE, rejection="out_of_focus")
        return hospital.fail(send(specimen=specimen))

    def _simple(
        self, specimen: Specimen, opinions: list[Any], *, sign: str = ""
    ) -> DiagnosticReport:
        for kind, opinion in opinions:
            image = self.hospital.send(specimen=specimen, kind=kind)
            report = self.hospital.read(image, opinion)
        if sign:
            self.hospital.sign(report, sign)
        return report

    def _waiting(self, specimen: Specimen) -> None:
        self.hospital.send(specimen=specimen)
        self.hospital.read(self.hospital.send(specimen=specimen, kind="Benign"), CLEAR_BENIGN)
        self.hospital.send(specimen=specimen)


def released(hospital: Hospital, *, conclusion: str, kind: str) -> DiagnosticReport:
    """A signed report of the guardian's child."""
    specimen = hospital.do(specimen_of, hospital.world.patient, f"N-2026-{conclusion[:6]}")
    image = hospital.send(specimen=specimen, kind=kind)
    report = hospital.read(image, CLEAR_BENIGN if conclusion == "benign" else CLEAR_PRE)
    hospital.sign(report, conclusion)
    return report


def at_once(hospital: Hospital) -> None:
    """The paper's rule: patients read unsigned reports."""
    hospital.do(hospital.world.at_once)


def unlinked_child(hospital: Hospital) -> None:
    """A second child of the same guardian, without any report."""

    def grant() -> None:
        child = _patient(hospital, "N-2", "Rahman", "Bilal", date(2017, 8, 9), "male")
        grant_portal_access(
            actor=SETUP, patient=child, user=hospital.world.guardian, relation=Relation.GUARDIAN
        )

    hospital.do(grant)


def specimen_of(patient: Patient, accession: str) -> Specimen:
    """A fresh sample of `patient`."""
    taken = timezone.now() - timedelta(hours=3)
    return register_specimen(actor=SETUP, patient=patient, accession=accession, collected_at=taken)


def _patient(
    hospital: Hospital, mrn: str, family: str, given: str, birth: date, sex: str
) -> Patient:
    return register_patient(
        actor=SETUP,
        clinic=hospital.world.clinic,
        mrn=mrn,
        family_name=family,
        given_names=given,
        birth_date=birth,
        sex=sex,
    )
