"""What the model said, added up by day, so that nobody counts a million rows to draw a chart."""

from django.db import models

from devices.models import Device
from hospital.accounts.models import Clinic


class DayTally(models.Model):
    """New pictures of one microscope that one package read one way on one day, as a count.

    A finished run never changes, so neither does a day that is over: a row is written once.
    """

    id = models.BigAutoField(primary_key=True)
    day = models.DateField(help_text="In the hospital's time zone.")
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+")
    device = models.ForeignKey(Device, on_delete=models.PROTECT, related_name="+")
    package_name = models.CharField(max_length=60)
    package_digest = models.CharField(max_length=64)
    verdict = models.CharField(max_length=20, help_text="The class, or the outcome without one.")
    runs = models.PositiveIntegerField()
    confidence = models.FloatField(
        null=True, help_text="Of the leading class, summed over the runs; empty without a class."
    )

    class Meta:
        verbose_name = "day's tally"
        permissions = [("view_dashboard", "Can see the numbers of a clinic")]
        constraints = [
            models.UniqueConstraint(
                fields=["day", "clinic", "device", "package_digest", "verdict"],
                name="tally_once",
            )
        ]
        indexes = [models.Index(fields=["clinic", "day"], name="tally_of_clinic")]

    def __str__(self) -> str:
        return f"{self.day} {self.verdict}: {self.runs}"
