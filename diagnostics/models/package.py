"""A model package that this hospital knows: which one reads, which one reads along in silence."""

import uuid

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from hospital.base.states import Transitions, in_choices


class PackageState(models.TextChoices):
    """What a package is used for."""

    REGISTERED = "registered", _("Registered")
    ACTIVE = "active", _("In use")
    SHADOW = "shadow", _("Reads along in silence")
    RETIRED = "retired", _("Retired")


S = PackageState


class ModelPackage(models.Model):
    """A folder that was verified once and is verified again by whoever loads it.

    At most one is active and at most one reads along. Once there is an active one there always
    is: it leaves only when another takes its place. Without any, workers read with
    `settings.MODEL_PACKAGE`.
    """

    TRANSITIONS: Transitions = {
        S.REGISTERED: frozenset({S.ACTIVE, S.SHADOW, S.RETIRED}),
        S.ACTIVE: frozenset({S.REGISTERED}),
        S.SHADOW: frozenset({S.ACTIVE, S.REGISTERED, S.RETIRED}),
        # Registered again: its folder is back and was verified anew.
        S.RETIRED: frozenset({S.REGISTERED}),
    }

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=60)
    version = models.CharField(max_length=40)
    digest = models.CharField(max_length=64, unique=True, help_text="Over all its files.")
    path = models.CharField(max_length=400, help_text="Its folder, the same on every worker.")
    state = models.CharField(max_length=12, choices=S.choices, default=S.REGISTERED)
    registered_at = models.DateTimeField(default=timezone.now, editable=False)
    activated_at = models.DateTimeField(null=True, editable=False)
    before = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
        help_text="Which one was active before it: the way back.",
    )
    trouble = models.CharField(
        max_length=400, blank=True, help_text="Why a worker could not load it, last time."
    )

    class Meta:
        ordering = ["-registered_at"]
        constraints = [
            in_choices("state", PackageState, name="package_state_known"),
            models.UniqueConstraint(
                fields=["state"], condition=Q(state=S.ACTIVE), name="package_one_active"
            ),
            models.UniqueConstraint(
                fields=["state"], condition=Q(state=S.SHADOW), name="package_one_shadow"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.version}"
