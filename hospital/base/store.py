"""An S3-compatible store as a place for files: what goes wrong with it is an `OSError`.

So that who stores and reads need not know what the files lie on: a store that is away, full or
slow is a disk that fails (`hospital.base.files`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

from boto3.exceptions import Boto3Error
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.core.files.base import File
from storages.backends.s3 import S3Storage

NOT_THERE = frozenset({"404", "NoSuchKey", "NotFound"})


class ObjectStorage(S3Storage):  # type: ignore[misc]  # untyped
    """django-storages' own, for objects that are read whole and never changed."""

    def get_default_settings(self) -> dict[str, Any]:
        """With patience for seconds: a microscope waits for the answer, and sends again."""
        patience = Config(
            connect_timeout=settings.S3_TIMEOUT_SECONDS,
            read_timeout=settings.S3_TIMEOUT_SECONDS,
            retries={"mode": "standard", "total_max_attempts": 2},
            max_pool_connections=32,
        )
        return {**super().get_default_settings(), "client_config": patience}

    def exists(self, name: str) -> bool:
        """Whether it is there.

        Raises:
            OSError: the store does not say.
        """
        with _as_disk(name):
            return bool(super().exists(name))

    def delete(self, name: str) -> None:
        """Remove it, if it is there."""
        with _as_disk(name):
            super().delete(name)

    def listdir(self, name: str) -> tuple[list[str], list[str]]:
        """Folders and files in a folder."""
        with _as_disk(name):
            folders, names = super().listdir(name)
            return folders, names

    def _open(self, name: str, mode: str = "rb") -> File[bytes]:
        """All of it at once: one question instead of two, and no error later."""
        with _as_disk(name):
            key = self._normalize_name(name.replace("\\", "/"))
            return File(BytesIO(self.bucket.Object(key).get()["Body"].read()), name)

    def _save(self, name: str, content: File[bytes]) -> str:
        with _as_disk(name):
            return str(super()._save(name, content))


@contextmanager
def _as_disk(name: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in NOT_THERE:
            raise FileNotFoundError(f"the store has no {name}") from error
        raise OSError(f"the store refused {name}: {error}") from error
    except (BotoCoreError, Boto3Error) as error:
        raise OSError(f"the store failed at {name}: {error}") from error
