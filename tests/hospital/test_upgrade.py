"""Promises of an upgrade: nobody waits for a migration, and the old processes live with it.

tests/stack/test_upgrade.py lets the released processes really do so.
"""

import pytest
from django.db import connection
from django.db.migrations.loader import MigrationLoader

from tests import upgrade

TABLES = {"diagnostics_analysis", "accounts_clinic"}
# Looked at and found harmless: migration and statement's beginning, and why.
ACCEPTED = {
    ("diagnostics", "0016_told_otherwise"): {
        'ALTER TABLE "diagnostics_criticalfinding" ADD CONSTRAINT': (
            "one row for each leukaemia that was found: looked through in milliseconds"
        )
    },
}


@pytest.mark.django_db
@pytest.mark.skipif(connection.vendor != "postgresql", reason="asked of the hospital's database")
def test_no_migration_since_the_release_stops_a_hospital_that_works() -> None:
    loader = MigrationLoader(connection)
    tables = upgrade.tables_of_release(loader)
    for node in upgrade.since_release(loader):
        excused = tuple(ACCEPTED.get(node, {}))
        for finding in upgrade.judged(upgrade.sql_of(connection, loader, node), tables):
            assert excused and finding.statement.startswith(excused), f"{node}: {finding}"


@pytest.mark.parametrize(
    "statement",
    [
        'CREATE INDEX "i" ON "diagnostics_analysis" ("state");',
        'CREATE UNIQUE INDEX "i" ON "diagnostics_analysis" ("image_id") WHERE "state" = \'x\';',
        'ALTER TABLE "diagnostics_analysis" ADD CONSTRAINT "c" CHECK ("state" IN (\'a\'));',
        'ALTER TABLE "diagnostics_analysis" ADD CONSTRAINT "f" FOREIGN KEY ("a") REFERENCES "b";',
        'ALTER TABLE "diagnostics_analysis" ADD CONSTRAINT "u" UNIQUE ("image_id");',
        'ALTER TABLE "diagnostics_analysis" ALTER COLUMN "state" SET NOT NULL;',
        'ALTER TABLE "accounts_clinic" ALTER COLUMN "code" TYPE integer;',
        'ALTER TABLE "accounts_clinic" ADD COLUMN "probe" boolean NOT NULL;',
        'ALTER TABLE "accounts_clinic" ALTER COLUMN "probe" DROP DEFAULT;',
        'ALTER TABLE "accounts_clinic" DROP COLUMN "code" CASCADE;',
        'ALTER TABLE "accounts_clinic" RENAME COLUMN "code" TO "short";',
        'DROP TABLE "accounts_clinic" CASCADE;',
    ],
)
def test_what_stops_the_hospital_or_breaks_the_released_version_is_named(statement: str) -> None:
    [finding] = upgrade.judged([statement], TABLES)
    assert finding.remedy


@pytest.mark.parametrize(
    "statement",
    [
        'CREATE INDEX CONCURRENTLY "i" ON "diagnostics_analysis" ("state");',
        'ALTER TABLE "diagnostics_analysis" ADD CONSTRAINT "c" CHECK ("n" > 0) NOT VALID;',
        'ALTER TABLE "diagnostics_analysis" VALIDATE CONSTRAINT "c";',
        'ALTER TABLE "diagnostics_analysis" ADD COLUMN "note" varchar(9) NULL;',
        'ALTER TABLE "diagnostics_analysis" ADD COLUMN "note" text DEFAULT \'\' NOT NULL;',
        'CREATE INDEX "i" ON "diagnostics_new" ("state");',
        'CREATE INDEX "i" ON "accounts_clinic" ("name");',
        'DROP TABLE "diagnostics_new" CASCADE;',
    ],
)
def test_what_nobody_notices_is_let_through(statement: str) -> None:
    assert list(upgrade.judged([statement], TABLES)) == []


def test_the_released_version_is_one_of_this_history() -> None:
    known = MigrationLoader(None).graph.nodes
    assert set(upgrade.released().items()) <= set(known)
