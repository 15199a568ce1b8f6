"""How a clinic reads: rules that are about its readers, as `release` are about its families."""

from django.db import models

from hospital.accounts.models import Clinic


class ReadingRule(models.Model):
    """What a clinic asks of its readers. None is the same as every default."""

    clinic = models.OneToOneField(
        Clinic, on_delete=models.PROTECT, primary_key=True, related_name="reading_rule"
    )
    own_call_first = models.BooleanField(
        "own call first",
        default=False,
        help_text="Each reader says what the pictures show before anything of the model's is "
        "shown to them.",
    )

    class Meta:
        ordering = ["clinic__name"]

    def __str__(self) -> str:
        return f"rule for reading at {self.clinic}"
