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
from storages.utils import clean_name

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
        try:
            with _as_disk(name):
                self._client.head_object(Bucket=self.bucket_name, Key=self._key(name))
        except FileNotFoundError:
            return False
        return True

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
            found = self._client.get_object(Bucket=self.bucket_name, Key=self._key(name))
            return File(BytesIO(found["Body"].read()), name)

    def _save(self, name: str, content: File[bytes]) -> str:
        """In one request: the pieces and threads of a larger upload cost more than they save."""
        with _as_disk(name):
            how = self._get_write_parameters(name, content)
            content.seek(0)
            self._client.put_object(
                Bucket=self.bucket_name, Key=self._key(name), Body=content.read(), **how
            )
        return name

    @property
    def _client(self) -> Any:
        """One for all threads: making one costs megabytes and a third of a second."""
        return self.bucket.meta.client

    def _key(self, name: str) -> str:
        return str(self._normalize_name(clean_name(name)))


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
