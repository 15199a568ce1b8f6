"""The worklist's order is stored and indexed; specimens are found by parts of their label."""

import django.utils.timezone
from django.conf import settings
from django.db import migrations, models
from django.db.models import F, Max, OuterRef, Subquery
from django.db.models.functions import Coalesce, Upper


def date_by_newest_picture(apps, schema_editor):
    """Give every report that is there the arrival of its newest picture."""
    reports = apps.get_model("diagnostics", "DiagnosticReport").objects
    images = apps.get_model("diagnostics", "FieldImage").objects
    of_specimen = images.filter(specimen=OuterRef("specimen")).order_by().values("specimen")
    newest = of_specimen.annotate(newest=Max("received_at")).values("newest")
    reports.update(last_picture=Coalesce(Subquery(newest), F("created_at")))


def add_trigrams(apps, schema_editor):
    """On PostgreSQL the end of a label finds it, too; spelt as Django's `icontains` asks."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        schema_editor.execute(
            "CREATE INDEX specimen_trigrams ON diagnostics_specimen "
            "USING gin (UPPER(accession::text) gin_trgm_ops)"
        )


def drop_trigrams(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP INDEX specimen_trigrams")


URGENCY = models.Case(
    models.When(
        models.Q(
            ("status__in", ("registered", "partial", "preliminary")),
            models.Q(
                models.Q(
                    models.Q(("impression", ""), _negated=True),
                    models.Q(("certainty", "clear"), ("impression", "benign"), _negated=True),
                ),
                ("findings__dissent__gt", 0),
                ("findings__fields__failed__gt", 0),
                ("findings__fields__unfamiliar__gt", 0),
                _connector="OR",
            ),
        ),
        then=models.Value(2),
    ),
    models.When(
        models.Q(
            ("status", "registered"), ("findings__fields__pending__gt", 0), _connector="OR"
        ),
        then=models.Value(1),
    ),
    models.When(
        models.Q(("impression", ""), ("status__in", ("registered", "partial", "preliminary"))),
        then=models.Value(0),
    ),
    default=models.Value(1),
)
STAGE = models.Case(
    models.When(status__in=("final", "amended", "corrected"), then=models.Value(1)),
    models.When(status__in=("cancelled", "entered-in-error"), then=models.Value(2)),
    default=models.Value(0),
)


def generated(expression):
    return models.GeneratedField(
        db_persist=True, expression=expression, output_field=models.SmallIntegerField()
    )


def index(model, *expressions, **options):
    return migrations.AddIndex(model_name=model, index=models.Index(*expressions, **options))


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0001_initial"),
        ("diagnostics", "0002_analysis_priority"),
        ("patients", "0002_search"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    operations = [
        migrations.AddField(
            model_name="diagnosticreport",
            name="last_picture",
            field=models.DateTimeField(
                default=django.utils.timezone.now,
                editable=False,
                help_text="When the specimen's newest one arrived.",
            ),
        ),
        migrations.RunPython(date_by_newest_picture, migrations.RunPython.noop),
        migrations.AddField("diagnosticreport", "urgency", generated(URGENCY)),
        migrations.AddField("diagnosticreport", "stage", generated(STAGE)),
        index(
            "diagnosticreport",
            fields=["clinic", "stage", "-urgency", "-last_picture", "-id"],
            name="report_worklist",
        ),
        index(
            "diagnosticreport",
            fields=["clinic", "-urgency", "-last_picture", "-id"],
            name="report_worklist_all",
        ),
        index(
            "diagnosticreport",
            fields=["clinic", "signed_at"],
            condition=models.Q(("signed_at__isnull", False)),
            name="report_signed_lately",
        ),
        index("diagnosticreport", fields=["-updated_at", "id"], name="report_changed_lately"),
        index("specimen", fields=["-registered_at", "id"], name="specimen_registered_lately"),
        index("specimen", F("clinic"), Upper("accession"), name="specimen_by_label"),
        index("fieldimage", fields=["-received_at"], name="image_received_lately"),
        index("analysis", fields=["-queued_at"], name="analysis_queued_lately"),
        migrations.RunPython(add_trigrams, drop_trigrams),
    ]
