"""What a microscope has sent, for itself to ask after: reads that know no user."""

from django.db.models import OuterRef, QuerySet
from django.db.models.functions import JSONObject
from django.utils import timezone

from devices.models import Device
from diagnostics.models import Analysis, DicomInstance, FieldImage, Upload


def images_by(device: Device) -> QuerySet[FieldImage]:
    """The pictures `device` has sent itself, for it to ask after.

    Each has `latest`: the state, outcome and failure of its latest analysis, or None. It is read by
    the same statement as the report, which would else be told as it was before that analysis ended.
    """
    latest = Analysis.objects.filter(image=OuterRef("pk"), speaks=True).order_by("-queued_at")
    told = JSONObject(state="state", outcome="outcome", failure="failure")
    sent = FieldImage.objects.filter(device=device).annotate(latest=latest.values(told=told)[:1])
    return sent.select_related("specimen__report", "control_slide", "control_run")


def uploads_by(device: Device) -> QuerySet[Upload]:
    """The uploads that `device` has begun and may go on with, or has finished lately."""
    return Upload.objects.filter(device=device, expires_at__gt=timezone.now())


def dicom_by(device: Device) -> QuerySet[DicomInstance]:
    """The DICOM objects `device` has sent itself, those of control slides among them."""
    rows = DicomInstance.objects.filter(image__device=device)
    return rows.select_related("image__specimen__patient", "image__control_slide", "image__device")
