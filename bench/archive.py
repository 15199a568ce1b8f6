"""An archive of reports as a hospital has it after years, made by the database itself.

400 reports a day whatever the size, so that a larger archive is an older one. Five clinics of
unlike size; a third as many patients as reports; one to three pictures each, analysed; the newest
300 reports are open, and one in a hundred of the old was never signed.
"""

import json
import time
from dataclasses import dataclass
from typing import Any

from django.db import connection

from hospital.accounts.roles import Role
from hospital.accounts.services import found_clinic, grant_role, open_account
from hospital.audit.services import Actor

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


def fill(size: int) -> float:
    """Found the clinics and fill them with `size` reports; seconds that took."""
    began = time.perf_counter()
    clinics = _found()
    dropped = _drop_indexes()
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # Without the row by row check of foreign keys.
            cursor.execute("SET session_replication_role = replica; SET maintenance_work_mem='1GB'")
        for statement in statements(size, clinics):
            cursor.execute(statement)
        for statement in dropped:
            cursor.execute(statement)
        if connection.vendor == "postgresql":
            cursor.execute("SET session_replication_role = origin")
            cursor.execute("VACUUM ANALYZE")
        else:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return time.perf_counter() - began


def _found() -> dict[str, Any]:
    """The clinics and those who look: 'one' works in the largest, 'several' in three of five."""
    bench = Actor.system("bench")
    clinics = {code: found_clinic(actor=bench, code=code, name=code.title()) for code in CLINICS}
    for name, codes in {"one": ["north"], "several": ["north", "east", "hill"]}.items():
        user = open_account(actor=bench, username=name, password=None, full_name=f"Reader {name}")
        for code in codes:
            grant_role(actor=bench, user=user, clinic=clinics[code], role=Role.HAEMATOLOGIST)
    open_account(
        actor=bench, username="root", password=None, full_name="Sue Root", is_superuser=True
    )
    return {code: clinic.pk for code, clinic in clinics.items()}


def _drop_indexes() -> list[str]:
    """Drop what only slows filling down; the statements that bring it back."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' "
                "AND tablename ~ '^(diagnostics|patients|live|audit)_' AND NOT EXISTS "
                "(SELECT FROM pg_constraint WHERE conname = indexname)"
            )
        else:
            cursor.execute(
                "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND "
                "substr(tbl_name, 1, 4) IN ('diag', 'pati', 'live', 'audi')"
            )
        rows = cursor.fetchall()
        for name, _ in rows:
            cursor.execute(f'DROP INDEX "{name}"')
    return [sql for _, sql in rows]


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


def statements(size: int, clinics: dict[str, Any]) -> list[str]:
    """What fills the tables, in order."""
    w = _Words()
    patients = max(size // 3, 1)
    now = int(time.time()) - 60
    share = _dice("p", 1, 100)
    last_clinic = len(clinics) - 1  # has the rest, too
    borders = " ".join(
        f"WHEN {share} < {100 if n == last_clinic else CLINICS[code]} THEN {n}"
        for n, code in enumerate(clinics)
    )
    clinic = _pick("clinic", [w.given(pk) for pk in clinics.values()])
    old = (
        f"CASE WHEN {_dice('i', 2, 100)} = 0 THEN {_dice('i', 3, len(OPEN))} "
        f"WHEN {_dice('i', 2, 100)} = 1 THEN {len(KINDS) - 1} "
        f"ELSE {len(OPEN)} + {_dice('i', 4, len(CLOSED))} END"
    )
    fresh = min(300, size // 3)
    signed = f"kind >= {len(OPEN)} AND kind < {len(KINDS) - 1}"
    reader = "(SELECT id FROM accounts_user ORDER BY username LIMIT 1)"
    status = _pick("kind", [f"'{kind.status}'" for kind in KINDS])
    leading = _pick("kind", [f"'{kind.leading}'" for kind in KINDS])
    findings = _pick(
        "kind * 3 + pictures - 1", [f"'{k.findings(n)}'" for k in KINDS for n in (1, 2, 3)]
    )
    last = w.at("epoch + 60 * pictures")
    device = w.uid("'device' || clinic || '-' || (i % 3)")
    image = w.uid("'image' || i || '-' || j")
    picture = f"(SELECT plan.*, j.i AS j FROM plan JOIN {w.series('j', 3)} ON j.i <= pictures) AS x"
    done = "kind > 0"
    probabilities = json.dumps(PROBABILITIES)
    rows: list[tuple[str, dict[str, str], str]] = [
        (
            "devices_device",
            {
                "id": w.uid("'device' || clinic || '-' || (number % 3)"),
                "clinic_id": clinic,
                "name": "'Bench ' || number",
                "make": "'Optika'",
                "model": "'W1'",
                "serial": "'SN-bench-' || number",
                "firmware": "''",
                "state": "'active'",
                "registered_at": w.at(str(now)),
                "last_heartbeat": w.json("'{}'"),
                "place": "''",
                "certificate_sha256": "''",
                "ae_title": "''",
                "configuration": w.json("'{}'"),
                "configuration_digest": "''",
                "revision": "1",
            },
            f"(SELECT n.i - 1 AS number, (n.i - 1) / 3 AS clinic "
            f"FROM {w.series('n', 3 * len(clinics))}) AS x",
        ),
        (
            "patients_patient",
            {
                "id": w.uid("'patient' || p"),
                "clinic_id": clinic,
                "mrn": "'M' || lpad(CAST(p AS text), 7, '0')",
                "family_name": _pick(_dice("p", 5, len(FAMILIES)), [f"'{f}'" for f in FAMILIES]),
                "given_names": _pick(_dice("p", 6, len(GIVEN)), [f"'{g}'" for g in GIVEN]),
                "birth_date": "'2019-04-02'",
                "sex": "'female'",
                "language": "'en'",
                "registered_at": w.at(str(now)),
            },
            f"(SELECT p, CASE {borders} END AS clinic "
            f"FROM (SELECT n.i AS p FROM {w.series('n', patients)}) AS y) AS x",
        ),
        (
            "diagnostics_specimen",
            {
                "id": w.uid("'specimen' || i"),
                "accession": "'L26-' || lpad(CAST(i AS text), 7, '0')",
                "patient_id": w.uid("'patient' || p"),
                "clinic_id": clinic,
                "collected_at": w.at("epoch - 7200"),
                "stain": "'wright_giemsa'",
                "registered_at": w.at("epoch - 3600"),
            },
            "plan",
        ),
        (
            "diagnostics_fieldimage",
            {
                "id": image,
                "specimen_id": w.uid("'specimen' || i"),
                "device_id": device,
                "sha256": "md5('b' || i || '-' || j) || md5('c' || i || '-' || j)",
                "storage_key": "'images/00/' || md5('b' || i || '-' || j)",
                "media_type": "'image/jpeg'",
                "size": "61000",
                "width": "640",
                "height": "480",
                "synthetic": w.no,
                "held": w.no,
                "received_at": w.at("epoch + 60 * j"),
                "state": f"CASE WHEN {done} THEN 'accepted' ELSE 'received' END",
                "rejection": "''",
            },
            picture,
        ),
        (
            "diagnostics_analysis",
            {
                "id": w.uid("'analysis' || i || '-' || j"),
                "image_id": image,
                "state": f"CASE WHEN {done} THEN 'succeeded' ELSE 'queued' END",
                "priority": "0",
                "package_wanted": "''",
                "speaks": "true",
                "queued_at": w.at("epoch + 60 * j"),
                "nudged_at": w.at("epoch + 60 * j"),
                "attempts": "1",
                "worker": "'bench'",
                "finished_at": w.at("epoch + 60 * j + 1"),
                "failure": "''",
                "package_name": "'bench'",
                "package_digest": "''",
                "engine": "'bench'",
                "preprocessing": "''",
                "outcome": f"CASE WHEN {done} THEN 'classified' ELSE '' END",
                "label": leading,
                "probabilities": w.json(f"'{probabilities}'"),
                "quality": w.json("'{}'"),
                "segmented_key": "''",
                "overlay_key": "''",
                "thumbnail_key": "''",
            },
            picture,
        ),
        (
            "diagnostics_diagnosticreport",
            {
                "id": w.uid("'report' || i"),
                "specimen_id": w.uid("'specimen' || i"),
                "clinic_id": clinic,
                "patient_id": w.uid("'patient' || p"),
                "status": status,
                "version": "3",
                "created_at": w.at("epoch"),
                "updated_at": w.at("epoch + 300"),
                "last_picture": last,
                "microscope_id": device,
                "findings": w.json(findings),
                "impression": leading,
                "certainty": _pick("kind", [f"'{kind.certainty}'" for kind in KINDS]),
                "conclusion": f"CASE WHEN {signed} THEN {leading} ELSE '' END",
                "comment": "''",
                "signed_by_id": f"CASE WHEN {signed} THEN {reader} END",
                "signed_at": f"CASE WHEN {signed} THEN {w.at('epoch + 300')} END",
                "released_at": f"CASE WHEN {signed} THEN {w.at('epoch + 300')} END",
                "portal_from": f"CASE WHEN {signed} THEN {w.at('epoch + 300')} END",
                "words": w.json("'{}'"),
                "mail_due": w.no,
            },
            "plan",
        ),
        (
            "live_event",
            {
                "topic": f"'clinic.' || {clinic}",
                "kind": "'report.changed'",
                "subject": w.uid("'report' || i"),
                "version": "j",
                "at": w.at("epoch + 60 * j"),
            },
            picture,
        ),
        (
            "audit_entry",
            {
                "at": w.at("epoch + 60 * j"),
                "actor_kind": "'device'",
                "actor_id": "''",
                "actor_name": "'Bench'",
                "action": "'image.received'",
                "subject_type": "'diagnostics.fieldimage'",
                "subject_id": "'image' || i || '-' || j",
                "clinic_id": clinic,
                "patient_id": w.uid("'patient' || p"),
                "detail": w.json("'{}'"),
            },
            picture,
        ),
    ]
    plan = (
        f"CREATE TEMPORARY TABLE plan AS SELECT i, p, CASE {borders} END AS clinic, epoch, "
        f"1 + i % 3 AS pictures, CASE WHEN i > {size - fresh} THEN {_dice('i', 3, len(OPEN))} "
        f"ELSE {old} END AS kind FROM (SELECT n.i AS i, 1 + (n.i * 48271) % {patients} AS p, "
        f"{now} - ({size} - n.i) * {86400 // A_DAY} AS epoch FROM {w.series('n', size)}) AS y"
    )
    return [plan, *(_insert(*row) for row in rows), "DROP TABLE plan"]


def _insert(table: str, values: dict[str, str], source: str) -> str:
    """Into the columns that the table has: an archive of an older day can be filled, too."""
    with connection.cursor() as cursor:
        there = {c.name for c in connection.introspection.get_table_description(cursor, table)}
    values = {column: value for column, value in values.items() if column in there}
    columns = ", ".join(values)
    return f"INSERT INTO {table} ({columns}) SELECT {', '.join(values.values())} FROM {source}"
