"""A picture that is arriving in pieces. It becomes a field image only when it is whole."""

import uuid

from django.db import models
from django.utils import timezone

from devices.models import Device


class Upload(models.Model):
    """A resumable upload (tus 1.0). Its pieces lie in the storage until it is whole or expires."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="uploads")
    image_id = models.UUIDField(help_text="Given by the microscope.")
    accession = models.CharField(max_length=40)
    content_digest = models.CharField(max_length=120, help_text="Of the whole, RFC 9530.")
    captured_at = models.DateTimeField(null=True)
    length = models.PositiveBigIntegerField(help_text="Bytes of the whole.")
    offset = models.PositiveBigIntegerField(default=0, help_text="Bytes that are here.")
    pieces = models.JSONField(default=list, help_text="Where they lie, in order.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        ordering = ["created_at"]

    def __str__(self) -> str:
        return f"upload {str(self.pk)[:8]}: {self.offset} of {self.length} bytes"

    @property
    def finished(self) -> bool:
        """Whether its picture has been taken in; whole it may be before that."""
        return self.offset == self.length and not self.pieces
