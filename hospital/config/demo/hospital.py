"""Founds the demonstration hospital through the product's own services; finds it the next time."""

from dataclasses import dataclass, field
from datetime import date, datetime

from django.db import DatabaseError
from django.utils import timezone

from devices.models import Device, DeviceState
from devices.services.keys import Unauthenticated, authenticate, issue_key
from devices.services.registry import register_device
from diagnostics.models import (
    ConclusionGroup,
    CriticalFrom,
    ReadingRule,
    ReleaseRule,
    ReleaseWay,
)
from diagnostics.services.reading_rules import save_rule
from diagnostics.services.release import set_rule
from diagnostics.services.specimens import register_specimen
from hospital.accounts.models import Clinic, User
from hospital.accounts.roles import Role
from hospital.accounts.services import found_clinic, grant_role, open_account
from hospital.audit.services import Actor
from hospital.config.demo.history import give_a_past
from hospital.config.demo.logins import Login, Logins
from patients.models import Patient, Relation
from patients.services import grant_portal_access, register_patient

DEMO = Actor.system("demo")


class RealData(Exception):
    """The folder or database holds a hospital that is not a demonstration."""


@dataclass(frozen=True, slots=True)
class Bench:
    """A clinic's microscope with its key, and the patients whose slides are under it."""

    clinic: Clinic
    device: Device
    key: str
    patients: list[Patient]


@dataclass(slots=True)
class DemoHospital:
    """Two clinics and everyone in them."""

    benches: list[Bench] = field(default_factory=list)
    logins: list[Login] = field(default_factory=list)
    watcher: Login | None = None


CLINICS = [
    # The paper's way in one, the usual way in the other, so that both can be watched.
    ("rivermead", "Rivermead Children's Hospital", ReleaseWay.AT_ONCE, "555 0100"),
    ("st-brigid", "St Brigid General Hospital", ReleaseWay.ON_SIGNATURE, "555 0200"),
]
STAFF = {
    "rivermead": [
        (Role.TECHNICIAN, "tara", "Tara Lindqvist"),
        (Role.HAEMATOLOGIST, "hana", "Hana Sato"),
        (Role.DEVICE_MANAGER, "dev", "Dev Patel"),
        (Role.ADMINISTRATOR, "ada", "Ada Moreau"),
    ],
    "st-brigid": [
        (Role.TECHNICIAN, "tomas", "Tomas Reyes"),
        (Role.HAEMATOLOGIST, "helen", "Helen Osei"),
        (Role.DEVICE_MANAGER, "dora", "Dora Kim"),
        (Role.ADMINISTRATOR, "anton", "Anton Weiss"),
    ],
}
PATIENTS = {
    "rivermead": [
        ("R-1001", "Rahman", "Amina", date(2019, 4, 2), "female", "bn"),
        ("R-1002", "Keita", "Moussa", date(2016, 9, 17), "male", "en"),
        ("R-1003", "Novak", "Elin", date(2021, 1, 30), "female", "en"),
    ],
    "st-brigid": [
        ("B-2001", "Okafor", "Chidi", date(1988, 6, 11), "male", "en"),
        ("B-2002", "Garcia", "Lucia", date(1975, 12, 5), "female", "es"),
        ("B-2003", "Hosseini", "Reza", date(2001, 3, 21), "male", "fa"),
    ],
}
# Username, name, patient, relation.
PORTAL = [
    ("nadia", "Nadia Rahman", "R-1001", Relation.GUARDIAN),
    ("chidi", "Chidi Okafor", "B-2001", Relation.SELF),
]


def ensure_playground(logins: Logins) -> None:
    """Let the demonstration play in an empty database or in its own, nowhere else.

    Raises:
        RealData: clinics exist that no demonstration has founded.
    """
    try:
        taken = Clinic.objects.exists()
    except DatabaseError:
        # Not even a table: as empty as can be.
        taken = False
    if taken and not logins.exist:
        raise RealData(
            "There is a hospital in this database that is not a demonstration; nothing was "
            "changed. Give the demonstration a folder of its own: LEUKOLENS_VAR=var/demo"
        )


def found_or_find(logins: Logins) -> DemoHospital:
    """The demonstration hospital, founded where there is none.

    Raises:
        RealData: clinics exist that no demonstration has founded.
    """
    ensure_playground(logins)
    founder = _Founder(logins)
    for code, name, way, telephone in CLINICS:
        founder.clinic(code, name, way, telephone)
    founder.people_of_both()
    return founder.hospital


def new_specimen(patient: Patient, accession: str) -> None:
    """Register a fresh sample of `patient`, taken just now."""
    register_specimen(actor=DEMO, patient=patient, accession=accession, collected_at=timezone.now())


def accession(bench: Bench, run: datetime, number: int) -> str:
    """An accession number of this run, unlike those of every other run, and short."""
    return f"{bench.clinic.name[0]}-{_short(int(run.timestamp()))}-{number:02}"


def _short(number: int) -> str:
    """The number in letters and digits, without those that look like others."""
    alphabet, digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ", ""
    while number:
        number, digit = divmod(number, len(alphabet))
        digits = alphabet[digit] + digits
    return digits


class _Founder:
    """Each step looks first and founds only what is missing."""

    def __init__(self, logins: Logins) -> None:
        self.logins = logins
        self.hospital = DemoHospital()

    def clinic(self, code: str, name: str, way: str, telephone: str) -> None:
        """A clinic with staff, patients and a microscope."""
        clinic = Clinic.objects.filter(code=code).first() or found_clinic(
            actor=DEMO, code=code, name=name, telephone=telephone
        )
        if not ReleaseRule.objects.filter(clinic=clinic).exists():
            set_rule(actor=DEMO, clinic=clinic, group=ConclusionGroup.ANY, way=way)
        if not ReadingRule.objects.filter(clinic=clinic).exists():
            # Where families read at once, a malignant pattern is to be told at once as well.
            at_once = way == ReleaseWay.AT_ONCE
            critical = CriticalFrom.MODEL if at_once else CriticalFrom.SIGNED
            save_rule(actor=DEMO, rule=ReadingRule(clinic=clinic, critical=critical))
        for role, username, full_name in STAFF[code]:
            part = f"{Role(role).label.lower()}, {name}"
            self._staff(username, full_name, part, [(clinic, role)])
        patients = [self._patient(clinic, *row) for row in PATIENTS[code]]
        device, key = self._microscope(clinic)
        give_a_past(device)
        self.hospital.benches.append(Bench(clinic, device, key, patients))

    def people_of_both(self) -> None:
        """Those who belong to no single clinic: a consultant, the portal's people, the root."""
        clinics = [bench.clinic for bench in self.hospital.benches]
        roles = [(clinic, Role.HAEMATOLOGIST) for clinic in clinics]
        part = "haematologist, both hospitals"
        self.hospital.watcher = self._staff("mira", "Mira Chandra", part, roles)
        for username, name, mrn, relation in PORTAL:
            self._reader(username, name, mrn, relation)
        self._account("root", "Demo Superuser", "superuser, everything", is_superuser=True)

    def _account(self, username: str, name: str, part: str, *, is_superuser: bool = False) -> Login:
        login = self.logins.person(username, name=name, part=part)
        if not User.objects.filter(username=username).exists():
            open_account(
                actor=DEMO,
                username=username,
                password=login.password,
                full_name=name,
                is_superuser=is_superuser,
            )
        self.hospital.logins.append(login)
        return login

    def _staff(
        self, username: str, name: str, part: str, roles: list[tuple[Clinic, Role]]
    ) -> Login:
        login = self._account(username, name, part)
        user = User.objects.get(username=username)
        for clinic, role in roles:
            grant_role(actor=DEMO, user=user, clinic=clinic, role=role)
        return login

    def _reader(self, username: str, name: str, mrn: str, relation: Relation) -> None:
        patient = Patient.objects.get(mrn=mrn, clinic__code__in=[code for code, *_ in CLINICS])
        who = "herself" if patient.sex == "female" else "himself"
        whom = who if relation == Relation.SELF else f"guardian of {patient.full_name}"
        self._account(username, name, f"portal: {whom}")
        user = User.objects.get(username=username)
        grant_portal_access(actor=DEMO, patient=patient, user=user, relation=relation)

    def _patient(
        self, clinic: Clinic, mrn: str, family: str, given: str, born: date, sex: str, language: str
    ) -> Patient:
        known = Patient.objects.filter(clinic=clinic, mrn=mrn).first()
        return known or register_patient(
            actor=DEMO,
            clinic=clinic,
            mrn=mrn,
            family_name=family,
            given_names=given,
            birth_date=born,
            sex=sex,
            language=language,
        )

    def _microscope(self, clinic: Clinic) -> tuple[Device, str]:
        serial = f"DEMO-{clinic.code.upper()}"
        make = "Simulated"
        device = Device.objects.filter(make=make, serial=serial).first() or register_device(
            actor=DEMO, clinic=clinic, name="Bench 1", make=make, model="WiFi 40x", serial=serial
        )
        key = self.logins.key_of(serial)
        if key is None or not _opens(key):
            key = issue_key(actor=DEMO, device=device)
            self.logins.keep_key(serial, key)
            device.refresh_from_db()
        if device.state != DeviceState.ACTIVE:
            raise RealData(
                f"The microscope {device} is {device.state}: somebody has played with it in the "
                "admin. Activate it there, or delete the demonstration's folder to begin anew."
            )
        return device, key


def _opens(key: str) -> bool:
    try:
        authenticate(key)
    except Unauthenticated:
        return False
    return True
