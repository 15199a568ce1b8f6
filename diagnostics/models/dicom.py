"""What a picture was in DICOM: enough to give the very object back."""

from django.db import models

from diagnostics.models.image import FieldImage


class DicomInstance(models.Model):
    """The DICOM object that a field image came in, kept whole beside the picture itself."""

    image = models.OneToOneField(
        FieldImage, on_delete=models.PROTECT, primary_key=True, related_name="dicom"
    )
    sop_instance_uid = models.CharField(max_length=64, unique=True)
    sop_class_uid = models.CharField(max_length=64)
    study_uid = models.CharField(max_length=64, db_index=True)
    series_uid = models.CharField(max_length=64, db_index=True)
    study_date = models.DateField(null=True, help_text="As the object says, for searches.")
    transfer_syntax_uid = models.CharField(max_length=64)
    storage_key = models.CharField(max_length=120)
    sha256 = models.CharField(max_length=64, help_text="Of the object's file, hexadecimal.")
    size = models.PositiveIntegerField(help_text="Bytes of the object's file.")
    attributes = models.JSONField(help_text="All but the pixels, in the DICOM JSON model.")

    class Meta:
        verbose_name = "DICOM instance"

    def __str__(self) -> str:
        return self.sop_instance_uid
