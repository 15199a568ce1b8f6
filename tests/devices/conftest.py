"""A microscope as the hospital sees it: HTTP requests with a key."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.apps import apps
from django.test import Client

from tests.world import World, content_digest


@dataclass
class Microscope:
    """Puts pictures and asks after them; every header can be spoilt for a test."""

    world: World
    key: str

    def __post_init__(self) -> None:
        # Nothing here may depend on a test client's leniency.
        self.client = Client(raise_request_exception=True, enforce_csrf_checks=True)

    def put(
        self,
        body: bytes,
        image_id: Any = None,
        *,
        headers: dict[str, str | None] | None = None,
        content_type: str = "image/jpeg",
    ) -> Any:
        """PUT `body`; a header given as None is left out."""
        sent: dict[str, str | None] = {
            "Authorization": f"Bearer {self.key}",
            "Content-Digest": content_digest(body),
            "Accession-Number": self.world.specimen.accession,
            **(headers or {}),
        }
        return self.client.put(
            f"/api/device/v1/images/{image_id or uuid.uuid4()}",
            body,
            content_type=content_type,
            headers={name: value for name, value in sent.items() if value is not None},
        )

    def get(self, image_id: Any) -> Any:
        """Ask what became of a picture."""
        return self.client.get(
            f"/api/device/v1/images/{image_id}", headers={"Authorization": f"Bearer {self.key}"}
        )

    def heartbeat(self, body: Any, content_type: str = "application/json") -> Any:
        """Say that the microscope is alive."""
        return self.client.post(
            "/api/device/v1/heartbeat",
            body,
            content_type=content_type,
            headers={"Authorization": f"Bearer {self.key}"},
        )


@pytest.fixture
def microscope(world: World) -> Microscope:
    """The clinic's own microscope."""
    return Microscope(world, world.key)


@pytest.fixture
def row_counts() -> Callable[[], dict[str, int]]:
    """How many rows every table of the product holds, to show that a refusal added none."""

    def count() -> dict[str, int]:
        return {model._meta.label: model._base_manager.count() for model in apps.get_models()}

    return count
