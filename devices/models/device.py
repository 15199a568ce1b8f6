"""A microscope: where it stands, what it is told, and where it is in its life."""

import uuid

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils import timezone

from hospital.accounts.models import Clinic
from hospital.base.states import Transitions, in_choices


class DeviceState(models.TextChoices):
    """Where a microscope stands in its life."""

    PENDING = "pending", "Pending (no key yet)"
    ACTIVE = "active", "Active"
    SUSPENDED = "suspended", "Suspended"
    RETIRED = "retired", "Retired"


class Device(models.Model):
    """A WiFi microscope that belongs to one clinic."""

    TRANSITIONS: Transitions = {
        DeviceState.PENDING: frozenset({DeviceState.ACTIVE, DeviceState.RETIRED}),
        DeviceState.ACTIVE: frozenset({DeviceState.SUSPENDED, DeviceState.RETIRED}),
        DeviceState.SUSPENDED: frozenset({DeviceState.ACTIVE, DeviceState.RETIRED}),
        # Only by a person who says why: see services.registry.reinstate.
        DeviceState.RETIRED: frozenset({DeviceState.PENDING}),
    }

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="devices")
    name = models.CharField(max_length=80, help_text="What it is called at the bench.")
    make = models.CharField(max_length=80)
    model = models.CharField(max_length=80)
    serial = models.CharField("serial number", max_length=80)
    firmware = models.CharField(max_length=40, blank=True)
    place = models.CharField(
        max_length=80, blank=True, help_text="Where it stands: building, floor, bench."
    )
    certificate_sha256 = models.CharField(
        "client certificate",
        max_length=64,
        blank=True,
        help_text="SHA-256 fingerprint of its certificate, hexadecimal; empty: none is asked for.",
    )
    ae_title = models.CharField(
        "DICOM AE title",
        max_length=16,
        blank=True,
        help_text="What it calls itself in DICOM; empty: it does not speak it.",
    )
    control_hours = models.PositiveSmallIntegerField(
        "control slide every",
        null=True,
        blank=True,
        help_text="Hours within which a control slide must have passed; empty: none is asked for.",
    )
    configuration = models.JSONField(
        default=dict, blank=True, help_text="What it is told with each heartbeat."
    )
    revision = models.PositiveIntegerField(
        default=1, editable=False, help_text="Goes up with each change of the configuration."
    )
    configuration_digest = models.CharField(
        max_length=64,
        blank=True,
        editable=False,
        help_text="Of all that `revision` stands for, the hospital's defaults included.",
    )
    told_seconds = models.PositiveIntegerField(
        null=True,
        editable=False,
        help_text="When to send its next heartbeat, as it was told.",
    )
    state = models.CharField(
        max_length=10, choices=DeviceState.choices, default=DeviceState.PENDING, editable=False
    )
    registered_at = models.DateTimeField(default=timezone.now, editable=False)
    last_heartbeat_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_heartbeat = models.JSONField(default=dict, blank=True, editable=False)

    class Meta:
        ordering = ["clinic__name", "name"]
        verbose_name = "microscope"
        permissions = [("issue_devicekey", "Can issue and revoke device keys")]
        constraints = [
            models.UniqueConstraint(fields=["make", "serial"], name="device_serial_once"),
            models.UniqueConstraint(
                fields=["ae_title"], condition=~Q(ae_title=""), name="device_ae_title_once"
            ),
            in_choices("state", DeviceState, name="device_state_known"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.make} {self.model})"

    def clean(self) -> None:
        """A serial number is one instrument's, however it is spelt; an AE title is one that DICOM
        allows, without the spaces that do not count there.

        Raises:
            ValidationError: another microscope has this make and serial number; the AE title has
                a backslash, or more than ASCII's printable signs.
        """
        self.ae_title = self.ae_title.strip(" ")
        if "\\" in self.ae_title or not (self.ae_title.isascii() and self.ae_title.isprintable()):
            raise ValidationError(
                {"ae_title": "An AE title has plain letters, digits and signs, but no backslash."}
            )
        twin = self.twin()
        if twin is not None:
            raise ValidationError({"serial": self.words_about(twin)})

    def twin(self) -> "Device | None":
        """Another row for the same instrument; upper and lower case do not matter."""
        same = Device.objects.filter(make__iexact=self.make, serial__iexact=self.serial)
        return same.exclude(pk=self.pk).first()

    def words_about(self, twin: "Device") -> str:
        """Why there cannot be a second row, and what to do instead."""
        if twin.clinic_id != self.clinic_id:
            return (
                "A microscope with this make and serial number is registered in another clinic. "
                "Ask an administrator of the hospital."
            )
        if twin.state == DeviceState.RETIRED:
            return (
                f"This microscope was retired as {twin.name}. Open it in the list and choose "
                "Reinstate if it is to come back."
            )
        return f"This microscope is registered already as {twin.name}. Check the serial number."
