"""A saved view: how somebody likes to look at the worklist."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from hospital.accounts.models import Clinic


class SavedView(models.Model):
    """A tab with its filters and search, under a name; of one person, or lent to a clinic."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="worklist_views"
    )
    name = models.CharField(max_length=40)
    query = models.CharField(max_length=400, help_text="As it stands in the worklist's address.")
    clinic = models.ForeignKey(
        Clinic, on_delete=models.CASCADE, null=True, related_name="+", help_text="Shared with."
    )
    opens_first = models.BooleanField(default=False)
    saved_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["owner", "name"], name="view_name_once_by_each"),
            models.UniqueConstraint(
                fields=["owner"], condition=Q(opens_first=True), name="view_one_opens_first"
            ),
        ]

    def __str__(self) -> str:
        return self.name
