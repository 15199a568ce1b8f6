"""When a family may read: a clinic's rules, and a patient's own wish."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from hospital.accounts.models import Clinic
from hospital.base.states import in_choices
from patients.models import Patient


class ConclusionGroup(models.TextChoices):
    """Which conclusions a rule is about. The narrower group goes before ANY."""

    ANY = "any", "Any conclusion"
    BENIGN = "benign", "Benign"
    MALIGNANT = "malignant", "Suspicious of leukaemia"
    UNDETERMINED = "undetermined", "Undetermined"


class ReleaseWay(models.TextChoices):
    """What has to happen before a report is in the portal."""

    AT_ONCE = "at_once", "At once, marked as not yet reviewed (the paper's way)"
    ON_SIGNATURE = "on_signature", "When a haematologist has signed"
    AFTER_HOURS = "after_hours", "Some hours after the signature"
    AFTER_CALL = "after_call", "When somebody has told the family"


class ReleaseRule(models.Model):
    """What a clinic does with one group of conclusions. Where it says nothing: on signature."""

    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="release_rules")
    group = models.CharField(
        "conclusions",
        max_length=20,
        choices=ConclusionGroup.choices,
        default=ConclusionGroup.ANY,
        help_text="A rule for one conclusion goes before the one for any.",
    )
    way = models.CharField(
        "in the portal",
        max_length=20,
        choices=ReleaseWay.choices,
        default=ReleaseWay.ON_SIGNATURE,
    )
    hours = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(24 * 30)],
        help_text="After the signature; only for 'some hours after'. At most 30 days.",
    )

    class Meta:
        ordering = ["clinic__name", "group"]
        constraints = [
            models.UniqueConstraint(fields=["clinic", "group"], name="release_rule_once_per_group"),
            in_choices("group", ConclusionGroup, name="release_rule_group_known"),
            in_choices("way", ReleaseWay, name="release_rule_way_known"),
            models.CheckConstraint(
                condition=Q(way=ReleaseWay.AFTER_HOURS) ^ Q(hours=None),
                name="release_rule_hours_where_needed",
                violation_error_message="Give the hours for 'some hours after', and only for it.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_group_display()}: {self.get_way_display()}"


class Wish(models.TextChoices):
    """How a family wants to learn of results."""

    AS_RULE = "as_rule", "As the clinic does"
    AFTER_CALL = "after_call", "Only after somebody has told them"
    NOT_IN_PORTAL = "not_in_portal", "Not in the portal"


class ReleaseWish(models.Model):
    """What a patient, or who speaks for them, has asked for. None is the same as AS_RULE."""

    patient = models.OneToOneField(
        Patient, on_delete=models.PROTECT, primary_key=True, related_name="release_wish"
    )
    wish = models.CharField(max_length=20, choices=Wish.choices, default=Wish.AS_RULE)

    class Meta:
        verbose_name = "wish about the portal"
        verbose_name_plural = "wishes about the portal"
        ordering = ["patient"]
        constraints = [in_choices("wish", Wish, name="release_wish_known")]

    def __str__(self) -> str:
        return f"{self.patient}: {self.get_wish_display()}"
