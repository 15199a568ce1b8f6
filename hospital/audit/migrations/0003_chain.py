"""Entries are sealed into a chain; emptying one for an erasure becomes the only change allowed.

Entries that are there already are sealed by the first sealing, in the order of their ids.
"""

from django.db import migrations, models

KEPT = ("id", "at", "actor_kind", "actor_id", "action", "subject_type", "subject_id", "clinic_id", "patient_id")
SEALED = ("entry_id", "position", "at", "told", "digest")

# Written as an exception for what may happen, so that a new column is protected by default only
# when it is added to KEPT: tests/hospital/audit/test_trail.py compares it with the model.
SQLITE = [
    "DROP TRIGGER audit_entry_no_update",
    f"""
    CREATE TRIGGER audit_entry_no_update BEFORE UPDATE ON audit_entry
    WHEN NOT ({" AND ".join(f"NEW.{c} IS OLD.{c}" for c in KEPT)}
        AND NEW.actor_name = '' AND NEW.detail = '{{"erased": true}}'
        AND EXISTS (SELECT 1 FROM audit_seal WHERE entry_id = OLD.id))
    BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END
    """,
    f"""
    CREATE TRIGGER audit_seal_no_update BEFORE UPDATE ON audit_seal
    WHEN NOT ({" AND ".join(f"NEW.{c} IS OLD.{c}" for c in SEALED)} AND NEW.salt = '')
    BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END
    """,
    """
    CREATE TRIGGER audit_seal_no_delete BEFORE DELETE ON audit_seal
    BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END
    """,
]


def _same(columns):
    old, new = (", ".join(f"{row}.{c}" for c in columns) for row in ("OLD", "NEW"))
    return f"({old}) IS NOT DISTINCT FROM ({new})"


POSTGRESQL = [
    "DROP TRIGGER audit_entry_append_only ON audit_entry",
    f"""
    CREATE FUNCTION audit_refuse_unless_erased() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF {_same(KEPT)} AND NEW.actor_name = '' AND NEW.detail = '{{"erased": true}}'::jsonb
            AND EXISTS (SELECT 1 FROM audit_seal WHERE entry_id = OLD.id) THEN RETURN NEW; END IF;
        RAISE EXCEPTION 'the audit trail is append-only';
    END $$
    """,
    f"""
    CREATE FUNCTION audit_refuse_unless_unsalted() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF {_same(SEALED)} AND NEW.salt = '' THEN RETURN NEW; END IF;
        RAISE EXCEPTION 'the audit trail is append-only';
    END $$
    """,
    *(
        f"CREATE TRIGGER {table}_{name} BEFORE {deed} ON {table} "
        f"FOR EACH ROW EXECUTE FUNCTION {function}()"
        for table, name, deed, function in [
            ("audit_entry", "no_update", "UPDATE", "audit_refuse_unless_erased"),
            ("audit_entry", "no_delete", "DELETE", "audit_entry_refuse"),
            ("audit_seal", "no_update", "UPDATE", "audit_refuse_unless_unsalted"),
            ("audit_seal", "no_delete", "DELETE", "audit_entry_refuse"),
        ]
    ),
]


def guard(apps, schema_editor):
    """Install the triggers of the database at hand."""
    statements = {"sqlite": SQLITE, "postgresql": POSTGRESQL}
    with schema_editor.connection.cursor() as cursor:
        for statement in statements[schema_editor.connection.vendor]:
            cursor.execute(statement)


def index(apps, schema_editor):
    """Without locking out writers: the trail is the longest table there is."""
    how = "CONCURRENTLY " if schema_editor.connection.vendor == "postgresql" else ""
    schema_editor.execute(
        f"CREATE INDEX {how}IF NOT EXISTS audit_entry_actor ON audit_entry (actor_id, at DESC)"
    )


class Migration(migrations.Migration):
    atomic = False  # an index made concurrently is made outside of transactions
    dependencies = [("audit", "0002_append_only")]
    operations = [
        migrations.CreateModel(
            name="Seal",
            fields=[
                ("entry_id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("position", models.BigIntegerField(unique=True)),
                ("at", models.DateTimeField()),
                (
                    "salt",
                    models.CharField(
                        help_text="Empty: the entry has been erased.", max_length=32
                    ),
                ),
                ("told", models.CharField(max_length=64)),
                ("digest", models.CharField(max_length=64)),
            ],
            options={"ordering": ["position"]},
        ),
        migrations.RunPython(guard, migrations.RunPython.noop, atomic=True),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(index, migrations.RunPython.noop)],
            state_operations=[
                migrations.AddIndex(
                    model_name="entry",
                    index=models.Index(fields=["actor_id", "-at"], name="audit_entry_actor"),
                )
            ],
        ),
    ]
