"""A specimen: one blood sample of one patient, smeared on a slide, known by its accession."""

import uuid

from django.core.validators import RegexValidator
from django.db import models
from django.db.models.functions import Upper
from django.utils import timezone

from hospital.accounts.models import Clinic
from hospital.base.states import in_choices
from patients.models import Patient


class Stain(models.TextChoices):
    """What the smear was stained with."""

    WRIGHT_GIEMSA = "wright_giemsa", "Wright-Giemsa"
    MAY_GRUNWALD_GIEMSA = "may_grunwald_giemsa", "May-Grünwald-Giemsa"
    GIEMSA = "giemsa", "Giemsa"
    LEISHMAN = "leishman", "Leishman"
    OTHER = "other", "Other"


class Specimen(models.Model):
    """A peripheral blood sample. The accession number is what the label on the slide says."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    accession = models.CharField(
        "accession number",
        max_length=40,
        unique=True,
        validators=[
            RegexValidator(
                r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
                "Letters, digits, dot, dash and underscore only.",
            )
        ],
    )
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="specimens")
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="specimens")
    collected_at = models.DateTimeField()
    stain = models.CharField(max_length=30, choices=Stain.choices, default=Stain.WRIGHT_GIEMSA)
    registered_at = models.DateTimeField(default=timezone.now, editable=False)
    closed_at = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="When it was closed: no pictures are taken in from then on.",
    )

    class Meta:
        ordering = ["-registered_at"]
        indexes = [
            models.Index(fields=["-registered_at", "id"], name="specimen_registered_lately"),
            models.Index("clinic", Upper("accession"), name="specimen_by_label"),
        ]
        constraints = [in_choices("stain", Stain, name="specimen_stain_known")]

    def __str__(self) -> str:
        return self.accession
