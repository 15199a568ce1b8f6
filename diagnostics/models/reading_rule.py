"""How a clinic reads: rules that are about its readers, as `release` are about its families."""

from django.core.validators import MaxValueValidator
from django.db import models

from hospital.accounts.models import Clinic
from hospital.base.states import in_choices


class CriticalFrom(models.TextChoices):
    """From when on a malignant pattern is a critical result."""

    NEVER = "never", "Never"
    SIGNED = "signed", "When it is signed"
    MODEL = "model", "As soon as the model reads it"


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

    critical = models.CharField(
        "malignant patterns are critical",
        max_length=10,
        choices=CriticalFrom.choices,
        default=CriticalFrom.SIGNED,
        help_text="A critical result must be told to somebody, who reads it back.",
    )
    repeat_hours = models.PositiveSmallIntegerField(
        "the same result again is no news for hours",
        default=24,
        validators=[MaxValueValidator(24 * 30)],
        help_text="After a call that was read back: of the same patient it is counted, not raised.",
    )

    class Meta:
        ordering = ["clinic__name"]
        constraints = [in_choices("critical", CriticalFrom, name="reading_rule_critical_known")]

    def __str__(self) -> str:
        return f"rule for reading at {self.clinic}"
