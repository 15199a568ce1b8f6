"""The rows of an archive as SQL: one INSERT … SELECT for each table, made by the database itself.

Everything follows from `plan`, a temporary table with a line for each report.
"""

import json
import time
from dataclasses import dataclass
from typing import Any

from django.db import connection

A_DAY = 400
CLINICS = {"north": 40, "south": 70, "east": 85, "west": 95, "hill": 100}  # shares, cumulated
_FIRST = "Rah Oka Lin Mor Sat Pet Ban Hol Gar Dup Kow Ali"
_LAST = (
    "man for mann berg ova sen ez ini ard ski son ley ade uchi wala dze poulos quist escu stein "
    "worth field ridge gate combe thorpe wick ham ford dale holm land"
)
FAMILIES = [first + last for first in _FIRST.split() for last in _LAST.split()]
_GIVEN = "Amina Chidi Lena Omar Yuki Ana Pavel Mei Tariq Sofia Jonas Zara Femi Elif Hugo Nadia"
GIVEN = _GIVEN.split()
PROBABILITIES = {"benign": 0.02, "early_pre_b": 0.02, "pre_b": 0.94, "pro_b": 0.02}


@dataclass(frozen=True)
class Kind:
    """How a report stands."""

    status: str
    leading: str = ""
    certainty: str = ""
    dissent: int = 0
    became: str = "classified"  # of every picture

    def findings(self, pictures: int) -> str:
        """As `diagnostics.services.findings.findings_of` writes it."""
        return json.dumps(
            {
                "fields": {"total": pictures, self.became: pictures},
                "probabilities": PROBABILITIES if self.leading else None,
                "leading": self.leading,
                "certainty": self.certainty,
                "dissent": self.dissent,
                "packages": ["bench 000000000000"],
                "synthetic": False,
                "held": False,
            }
        )


OPEN = (
    Kind("registered", became="pending"),
    Kind("partial", "pre_b", "clear"),
    Kind("partial", "early_pre_b", "uncertain"),
    Kind("partial", "benign", "clear", dissent=1),
    Kind("partial", became="unusable"),
    Kind("partial", "benign", "clear"),
    Kind("partial", "benign", "clear"),
    Kind("preliminary", "benign", "clear"),
)
CLOSED = (
    Kind("final", "benign", "clear"),
    Kind("final", "benign", "clear"),
    Kind("final", "pre_b", "clear"),
    Kind("amended", "early_pre_b", "leaning"),
)
WITHDRAWN = Kind("cancelled", "benign", "clear")
KINDS = (*OPEN, *CLOSED, WITHDRAWN)

# A table, its columns with what fills them, and where that is read from.
Rows = tuple[str, dict[str, str], str]

SIGNED = f"kind >= {len(OPEN)} AND kind < {len(KINDS) - 1}"
DONE = "kind > 0"
READER = "(SELECT id FROM accounts_user ORDER BY username LIMIT 1)"


def statements(size: int, clinics: dict[str, Any]) -> list[str]:
    """What fills the tables with `size` reports, in order; `clinics`: ids by code."""
    made = _Archive(size, clinics)
    rows = (
        *(made.devices(), made.registry(), made.specimens(), made.images()),
        *(made.analyses(), made.reports(), made.events(), made.entries()),
    )
    return [made.plan(), *(_insert(*one) for one in rows), "DROP TABLE plan"]


class _Archive:
    """What the tables have in common: sizes, and expressions over a line of `plan`."""

    def __init__(self, size: int, clinics: dict[str, Any]) -> None:
        self.w = w = _Words()
        self.size = size
        self.clinics = clinics
        self.patients = max(size // 3, 1)
        self.now = int(time.time()) - 60
        share = _dice("p", 1, 100)
        last = len(clinics) - 1  # has the rest, too
        self.borders = " ".join(
            f"WHEN {share} < {100 if n == last else CLINICS[code]} THEN {n}"
            for n, code in enumerate(clinics)
        )
        self.clinic = _pick("clinic", [w.given(pk) for pk in clinics.values()])
        self.device = w.uid("'device' || clinic || '-' || (i % 3)")
        self.image = w.uid("'image' || i || '-' || j")
        self.picture = (
            f"(SELECT plan.*, j.i AS j FROM plan JOIN {w.series('j', 3)} ON j.i <= pictures) AS x"
        )

    def plan(self) -> str:
        """Of each report: its patient, clinic, time, how many pictures, and which of `KINDS`."""
        old = (
            f"CASE WHEN {_dice('i', 2, 100)} = 0 THEN {_dice('i', 3, len(OPEN))} "
            f"WHEN {_dice('i', 2, 100)} = 1 THEN {len(KINDS) - 1} "
            f"ELSE {len(OPEN)} + {_dice('i', 4, len(CLOSED))} END"
        )
        fresh = min(300, self.size // 3)
        return (
            f"CREATE TEMPORARY TABLE plan AS SELECT i, p, CASE {self.borders} END AS clinic, "
            f"epoch, 1 + i % 3 AS pictures, "
            f"CASE WHEN i > {self.size - fresh} THEN {_dice('i', 3, len(OPEN))} "
            f"ELSE {old} END AS kind "
            f"FROM (SELECT n.i AS i, 1 + (n.i * 48271) % {self.patients} AS p, "
            f"{self.now} - ({self.size} - n.i) * {86400 // A_DAY} AS epoch "
            f"FROM {self.w.series('n', self.size)}) AS y"
        )

    def devices(self) -> Rows:
        """Three microscopes in each clinic."""
        return (
            "devices_device",
            {
                "id": self.w.uid("'device' || clinic || '-' || (number % 3)"),
                "clinic_id": self.clinic,
                "name": "'Bench ' || number",
                "make": "'Optika'",
                "model": "'W1'",
                "serial": "'SN-bench-' || number",
                "firmware": "''",
                "state": "'active'",
                "registered_at": self.w.at(str(self.now)),
                "last_heartbeat": self.w.json("'{}'"),
                "place": "''",
                "certificate_sha256": "''",
                "ae_title": "''",
                "configuration": self.w.json("'{}'"),
                "configuration_digest": "''",
                "revision": "1",
            },
            f"(SELECT n.i - 1 AS number, (n.i - 1) / 3 AS clinic "
            f"FROM {self.w.series('n', 3 * len(self.clinics))}) AS x",
        )

    def registry(self) -> Rows:
        """A third as many as reports."""
        return (
            "patients_patient",
            {
                "id": self.w.uid("'patient' || p"),
                "clinic_id": self.clinic,
                "mrn": "'M' || lpad(CAST(p AS text), 7, '0')",
                "family_name": _pick(_dice("p", 5, len(FAMILIES)), [f"'{f}'" for f in FAMILIES]),
                "given_names": _pick(_dice("p", 6, len(GIVEN)), [f"'{g}'" for g in GIVEN]),
                "birth_date": "'2019-04-02'",
                "sex": "'female'",
                "language": "'en'",
                "registered_at": self.w.at(str(self.now)),
            },
            f"(SELECT p, CASE {self.borders} END AS clinic "
            f"FROM (SELECT n.i AS p FROM {self.w.series('n', self.patients)}) AS y) AS x",
        )

    def specimens(self) -> Rows:
        """One for each report."""
        return (
            "diagnostics_specimen",
            {
                "id": self.w.uid("'specimen' || i"),
                "accession": "'L26-' || lpad(CAST(i AS text), 7, '0')",
                "patient_id": self.w.uid("'patient' || p"),
                "clinic_id": self.clinic,
                "collected_at": self.w.at("epoch - 7200"),
                "stain": "'wright_giemsa'",
                "registered_at": self.w.at("epoch - 3600"),
            },
            "plan",
        )

    def images(self) -> Rows:
        """One to three of each specimen."""
        return (
            "diagnostics_fieldimage",
            {
                "id": self.image,
                "specimen_id": self.w.uid("'specimen' || i"),
                "device_id": self.device,
                "sha256": "md5('b' || i || '-' || j) || md5('c' || i || '-' || j)",
                "storage_key": "'images/00/' || md5('b' || i || '-' || j)",
                "media_type": "'image/jpeg'",
                "size": "61000",
                "width": "640",
                "height": "480",
                "synthetic": self.w.no,
                "held": self.w.no,
                "received_at": self.w.at("epoch + 60 * j"),
                "state": f"CASE WHEN {DONE} THEN 'accepted' ELSE 'received' END",
                "rejection": "''",
            },
            self.picture,
        )

    def analyses(self) -> Rows:
        """One of each picture."""
        leading = _pick("kind", [f"'{kind.leading}'" for kind in KINDS])
        return (
            "diagnostics_analysis",
            {
                "id": self.w.uid("'analysis' || i || '-' || j"),
                "image_id": self.image,
                "state": f"CASE WHEN {DONE} THEN 'succeeded' ELSE 'queued' END",
                "priority": "0",
                "package_wanted": "''",
                "speaks": "true",
                "queued_at": self.w.at("epoch + 60 * j"),
                "nudged_at": self.w.at("epoch + 60 * j"),
                "attempts": "1",
                "worker": "'bench'",
                "finished_at": self.w.at("epoch + 60 * j + 1"),
                "failure": "''",
                "package_name": "'bench'",
                "package_digest": "''",
                "engine": "'bench'",
                "preprocessing": "''",
                "outcome": f"CASE WHEN {DONE} THEN 'classified' ELSE '' END",
                "label": leading,
                "probabilities": self.w.json(f"'{json.dumps(PROBABILITIES)}'"),
                "quality": self.w.json("'{}'"),
                "segmented_key": "''",
                "overlay_key": "''",
                "thumbnail_key": "''",
            },
            self.picture,
        )

    def reports(self) -> Rows:
        """As their kind says."""
        status = _pick("kind", [f"'{kind.status}'" for kind in KINDS])
        leading = _pick("kind", [f"'{kind.leading}'" for kind in KINDS])
        findings = _pick(
            "kind * 3 + pictures - 1", [f"'{k.findings(n)}'" for k in KINDS for n in (1, 2, 3)]
        )
        last = self.w.at("epoch + 60 * pictures")
        return (
            "diagnostics_diagnosticreport",
            {
                "id": self.w.uid("'report' || i"),
                "specimen_id": self.w.uid("'specimen' || i"),
                "clinic_id": self.clinic,
                "patient_id": self.w.uid("'patient' || p"),
                "status": status,
                "version": "3",
                "created_at": self.w.at("epoch"),
                "updated_at": self.w.at("epoch + 300"),
                "last_picture": last,
                "microscope_id": self.device,
                "findings": self.w.json(findings),
                "impression": leading,
                "certainty": _pick("kind", [f"'{kind.certainty}'" for kind in KINDS]),
                "conclusion": f"CASE WHEN {SIGNED} THEN {leading} ELSE '' END",
                "comment": "''",
                "signed_by_id": f"CASE WHEN {SIGNED} THEN {READER} END",
                "signed_at": f"CASE WHEN {SIGNED} THEN {self.w.at('epoch + 300')} END",
                "released_at": f"CASE WHEN {SIGNED} THEN {self.w.at('epoch + 300')} END",
                "portal_from": f"CASE WHEN {SIGNED} THEN {self.w.at('epoch + 300')} END",
                "words": self.w.json("'{}'"),
                "mail_due": self.w.no,
            },
            "plan",
        )

    def events(self) -> Rows:
        """One for each picture."""
        return (
            "live_event",
            {
                "topic": f"'clinic.' || {self.clinic}",
                "kind": "'report.changed'",
                "subject": self.w.uid("'report' || i"),
                "version": "j",
                "at": self.w.at("epoch + 60 * j"),
            },
            self.picture,
        )

    def entries(self) -> Rows:
        """One for each picture."""
        return (
            "audit_entry",
            {
                "at": self.w.at("epoch + 60 * j"),
                "actor_kind": "'device'",
                "actor_id": "''",
                "actor_name": "'Bench'",
                "action": "'image.received'",
                "subject_type": "'diagnostics.fieldimage'",
                "subject_id": "'image' || i || '-' || j",
                "clinic_id": self.clinic,
                "patient_id": self.w.uid("'patient' || p"),
                "detail": self.w.json("'{}'"),
            },
            self.picture,
        )


class _Words:
    """The few words that the databases spell differently."""

    def __init__(self) -> None:
        self.pg = connection.vendor == "postgresql"

    def uid(self, text: str) -> str:
        return f"md5({text})::uuid" if self.pg else f"md5({text})"

    def given(self, pk: Any) -> str:
        return f"'{pk}'::uuid" if self.pg else f"'{pk.hex}'"

    def at(self, epoch: str) -> str:
        if self.pg:
            return f"to_timestamp({epoch})"
        return f"strftime('%Y-%m-%d %H:%M:%f', {epoch}, 'unixepoch')"

    def json(self, text: str) -> str:
        return f"({text})::jsonb" if self.pg else f"({text})"

    def series(self, name: str, count: int) -> str:
        if self.pg:
            return f"generate_series(1::bigint, {count}) AS {name}(i)"
        return (
            f"(WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < {count}) "
            f"SELECT i FROM s) AS {name}"
        )

    @property
    def no(self) -> str:
        return "false" if self.pg else "0"


def _dice(number: str, salt: int, sides: int) -> str:
    """A number from 0 below `sides`, the same for the same `number`."""
    return f"(({number} * 2654435761 + {salt * 104729}) % 1000003 % {sides})"


def _pick(number: str, values: list[str]) -> str:
    cases = " ".join(f"WHEN {index} THEN {value}" for index, value in enumerate(values))
    return f"CASE {number} {cases} END"


def _insert(table: str, values: dict[str, str], source: str) -> str:
    """Into the columns that the table has: an archive of an older day can be filled, too."""
    with connection.cursor() as cursor:
        there = {c.name for c in connection.introspection.get_table_description(cursor, table)}
    values = {column: value for column, value in values.items() if column in there}
    columns = ", ".join(values)
    return f"INSERT INTO {table} ({columns}) SELECT {', '.join(values.values())} FROM {source}"
