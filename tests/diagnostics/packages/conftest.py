"""Two packages, one of them in use, and workers that load no network."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from diagnostics import readers
from diagnostics.models import (
    ModelPackage,
)
from diagnostics.services import packages
from ml import packages as ml_packages
from ml.reading import Reader
from tests.diagnostics.test_pipeline import Engine
from tests.world import SETUP


def folder(tmp_path: Path, version: str) -> Path:
    """A real package on disk that differs from the committed one by its version only."""
    made = tmp_path / version
    ml_packages.revise(
        ml_packages.verify(ml_packages.COMMITTED), made, version=version, documents={}
    )
    return made


@pytest.fixture
def first() -> ModelPackage:
    """The committed package, in use."""
    package = packages.register(actor=SETUP, folder=ml_packages.COMMITTED)
    return packages.activate(actor=SETUP, package=package)


@pytest.fixture
def second(tmp_path: Path) -> ModelPackage:
    """Another one, registered."""
    return packages.register(actor=SETUP, folder=folder(tmp_path, "2.9"))


@pytest.fixture
def engines(monkeypatch: Any) -> Iterator[list[Path | None]]:
    """No network is loaded; gives the folders that were."""
    loaded: list[Path | None] = []

    def load(path: Path | None, *, engine: str) -> Reader:
        loaded.append(path)
        return Reader(ml_packages.verify(path or ml_packages.COMMITTED), Engine())

    monkeypatch.setattr(readers, "_held", readers._Held())
    monkeypatch.setattr(readers.reading, "load", load)
    yield loaded


def state_of(package: ModelPackage) -> str:
    package.refresh_from_db()
    return package.state
