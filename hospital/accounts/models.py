"""Clinics, people who sign in, and who works where as what."""

import uuid

from django.contrib.auth.models import AbstractUser
from django.db import models

from hospital.accounts.roles import Role
from hospital.base.states import in_choices


class Paper(models.TextChoices):
    """What a clinic prints on."""

    A4 = "a4", "A4"
    LETTER = "letter", "US Letter"


class Clinic(models.Model):
    """A clinic with its own staff, microscopes and patients. The border nobody looks across."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    code = models.SlugField(max_length=20, unique=True, help_text="Short name used in lists.")
    name = models.CharField(max_length=120)
    telephone = models.CharField(
        max_length=40, blank=True, help_text="Shown to patients beside every report."
    )
    paper = models.CharField(
        max_length=10, choices=Paper.choices, default=Paper.A4, help_text="For reports as PDF."
    )

    class Meta:
        ordering = ["name"]
        constraints = [
            in_choices("paper", Paper, name="clinic_paper_known"),
        ]

    def __str__(self) -> str:
        return self.name


class User(AbstractUser):
    """Anyone who signs in: staff by their memberships, patients and guardians by portal access."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)

    class Meta(AbstractUser.Meta):
        ordering = ["username"]

    def __str__(self) -> str:
        return self.get_full_name() or self.username


class Membership(models.Model):
    """A person's role in one clinic."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="memberships")
    role = models.CharField(max_length=20, choices=Role.choices)

    class Meta:
        ordering = ["clinic__name", "user__username"]
        constraints = [
            models.UniqueConstraint(fields=["user", "clinic", "role"], name="membership_once"),
            in_choices("role", Role, name="membership_role_known"),
        ]

    def __str__(self) -> str:
        return f"{self.user}, {self.get_role_display()} at {self.clinic}"
