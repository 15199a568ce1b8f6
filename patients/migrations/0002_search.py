"""Indexes for finding a patient by record number or name among hundreds of thousands."""

import django.db.models.functions.text
from django.db import migrations, models

COLUMNS = ("mrn", "family_name", "given_names")


def add_trigrams(apps, schema_editor):
    """On PostgreSQL words are found inside a name, too; spelt as Django's `icontains` asks."""
    if schema_editor.connection.vendor == "postgresql":
        # Trusted since PostgreSQL 13: the owner of the database may.
        schema_editor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        for column in COLUMNS:
            schema_editor.execute(
                f"CREATE INDEX patient_trigrams_{column} ON patients_patient "
                f"USING gin (UPPER({column}::text) gin_trgm_ops)"
            )


def drop_trigrams(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        for column in COLUMNS:
            schema_editor.execute(f"DROP INDEX patient_trigrams_{column}")


class Migration(migrations.Migration):
    dependencies = [("patients", "0001_initial")]
    operations = [
        migrations.AddIndex(
            model_name="patient",
            index=models.Index(
                models.F("clinic"),
                django.db.models.functions.text.Upper("mrn"),
                name="patient_by_mrn",
            ),
        ),
        migrations.AddIndex(
            model_name="patient",
            index=models.Index(
                models.F("clinic"),
                django.db.models.functions.text.Upper("family_name"),
                name="patient_by_family_name",
            ),
        ),
        migrations.AddIndex(
            model_name="patient",
            index=models.Index(
                models.F("clinic"),
                django.db.models.functions.text.Upper("given_names"),
                name="patient_by_given_names",
            ),
        ),
        migrations.RunPython(add_trigrams, drop_trigrams),
    ]
