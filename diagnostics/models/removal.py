"""Files that are to go."""

from django.db import models
from django.utils import timezone


class FileToRemove(models.Model):
    """A file, or with a slash at its end a folder, that is removed until the storage says it is."""

    key = models.CharField(max_length=200, primary_key=True)
    since = models.DateTimeField(default=timezone.now)
    due_at = models.DateTimeField(default=timezone.now, db_index=True)
    gone_at = models.DateTimeField(null=True, help_text="It is looked at once more after that.")

    def __str__(self) -> str:
        return self.key
