"""What runs by itself, and when it last went well: one row for each, however often it runs."""

from django.db import models

from hospital.base.states import in_choices


class Chore(models.TextChoices):
    """What an operator must know to be done."""

    PROBE = "probe", "End-to-end probe"
    BACKUP = "backup", "Backup"
    RETENTION = "retention", "Retention"


class LastRun(models.Model):
    """How a chore last ended, and when it last went well."""

    chore = models.CharField(max_length=20, choices=Chore.choices, primary_key=True)
    ended_at = models.DateTimeField()
    succeeded_at = models.DateTimeField(null=True)
    seconds = models.FloatField()
    # '' when it went well.
    trouble = models.CharField(max_length=300, blank=True)
    # What it says of itself: counts and names of stages, nothing of anybody.
    told = models.JSONField(default=dict)

    class Meta:
        constraints = [in_choices("chore", Chore, name="last_run_chore_known")]

    def __str__(self) -> str:
        return f"{self.get_chore_display()}: {self.trouble or 'well'}"
