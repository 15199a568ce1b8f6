"""The worklist's filters, each with its index; the malignant first, then the doubtful; views."""

import uuid

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models
from django.db.models import OuterRef, Q, Subquery, Value, When
from django.db.models.functions import Coalesce

UNSIGNED = ("registered", "partial", "preliminary")


def name_microscopes(apps, schema_editor):
    """Give every report that is there the microscope of its newest picture."""
    reports = apps.get_model("diagnostics", "DiagnosticReport").objects
    images = apps.get_model("diagnostics", "FieldImage").objects
    of_specimen = images.filter(specimen=OuterRef("specimen")).order_by("-received_at", "-id")
    reports.update(microscope=Subquery(of_specimen.values("device")[:1]))


def generated(expression, output_field):
    return models.GeneratedField(
        db_persist=True, expression=expression, output_field=output_field
    )


URGENCY = models.Case(
    When(
        Q(("blind", False), ("status__in", UNSIGNED))
        & ~Q(("impression__in", ["", "benign"]))
        & ~Q(("certainty", "uncertain")),
        then=Value(3),
    ),
    When(
        Q(("status__in", UNSIGNED))
        & (
            Q(("findings__fields__failed__gt", 0))
            | Q(("findings__fields__held__gt", 0))
            | Q(("blind", False))
            & (
                (~Q(("impression", "")) & ~Q(("certainty", "clear"), ("impression", "benign")))
                | Q(("findings__dissent__gt", 0))
                | Q(("findings__fields__unfamiliar__gt", 0))
            )
        ),
        then=Value(2),
    ),
    When(Q(("status", "registered")) | Q(("findings__fields__pending__gt", 0)), then=Value(1)),
    When(Q(("blind", False), ("impression", ""), ("status__in", UNSIGNED)), then=Value(0)),
    default=Value(1),
)
READING = models.Case(
    When(blind=True, status__in=UNSIGNED, then=Value("")),
    When(impression="", findings__fields__unfamiliar__gt=0, then=Value("unfamiliar")),
    When(certainty="uncertain", then=Value("uncertain")),
    default=models.F("impression"),
)
FAILING = models.Case(
    When(status__in=UNSIGNED, findings__fields__failed__gt=0, then=Value(True)),
    default=Value(False),
)
ORDER = ["-urgency", "-last_picture", "-id"]
BY_TAB = models.Index(fields=["clinic", "stage", *ORDER], name="report_worklist")
OF_ALL = models.Index(fields=["clinic", *ORDER], name="report_worklist_all")


def add_index(index):
    return migrations.AddIndex(model_name="diagnosticreport", index=index)


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0001_initial"),
        ("devices", "0002_fleet"),
        ("diagnostics", "0010_own_call"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    operations = [
        migrations.AddField(
            model_name="diagnosticreport",
            name="microscope",
            field=models.ForeignKey(
                db_index=False,
                editable=False,
                help_text="That sent the newest one.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="devices.device",
            ),
        ),
        migrations.RunPython(name_microscopes, migrations.RunPython.noop),
        # A generated column is not altered: it is made again, and its indexes with it.
        migrations.RemoveIndex("diagnosticreport", "report_worklist"),
        migrations.RemoveIndex("diagnosticreport", "report_worklist_all"),
        migrations.RemoveField("diagnosticreport", "urgency"),
        migrations.AddField(
            "diagnosticreport", "urgency", generated(URGENCY, models.SmallIntegerField())
        ),
        migrations.AddField(
            "diagnosticreport", "reading", generated(READING, models.CharField(max_length=20))
        ),
        migrations.AddField(
            "diagnosticreport",
            "last_reader",
            generated(Coalesce("signed_by", "verified_by"), models.UUIDField(null=True)),
        ),
        migrations.AddField(
            "diagnosticreport", "failing", generated(FAILING, models.BooleanField())
        ),
        add_index(BY_TAB),
        add_index(OF_ALL),
        add_index(
            models.Index(fields=["clinic", "stage", "reading", *ORDER], name="report_by_reading")
        ),
        add_index(
            models.Index(
                fields=["clinic", "stage", "microscope", *ORDER], name="report_by_microscope"
            )
        ),
        add_index(
            models.Index(
                fields=["clinic", "stage", "last_reader", *ORDER],
                condition=Q(("last_reader__isnull", False)),
                name="report_by_reader",
            )
        ),
        add_index(
            models.Index(
                fields=["clinic", *ORDER],
                condition=Q(("failing", True)),
                name="report_failing",
            )
        ),
        migrations.CreateModel(
            name="SavedView",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("name", models.CharField(max_length=40)),
                (
                    "query",
                    models.CharField(
                        help_text="As it stands in the worklist's address.", max_length=400
                    ),
                ),
                ("opens_first", models.BooleanField(default=False)),
                (
                    "saved_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "clinic",
                    models.ForeignKey(
                        help_text="Shared with.",
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="accounts.clinic",
                    ),
                ),
                (
                    "owner",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="worklist_views",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["name"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("owner", "name"), name="view_name_once_by_each"
                    ),
                    models.UniqueConstraint(
                        condition=Q(("opens_first", True)),
                        fields=("owner",),
                        name="view_one_opens_first",
                    ),
                ],
            },
        ),
    ]
