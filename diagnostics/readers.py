"""Which model packages this worker process holds: the one in use, and the one that reads along.

A process holds two at most. Whoever asks gets the package that is in use now; the other one is
loaded when it is first wanted. Only a worker imports this.
"""

import logging
import time
from dataclasses import dataclass, field
from threading import Lock

from django.conf import settings

from diagnostics.models import Analysis, AnalysisState, ModelPackage, Priority
from diagnostics.services import packages
from ml import packages as model_packages
from ml import reading
from ml.reading import Reader

log = logging.getLogger(__name__)

# A package that could not be loaded is tried again after so long.
PATIENCE_SECONDS = 60.0


class PackageReplaced(Exception):
    """The folder holds another package than the one that was registered."""


@dataclass
class _Held:
    """What this process has loaded; by digest, '' for the one of the settings."""

    own: tuple[str, Reader] | None = None
    shadow: tuple[str, Reader] | None = None
    failed: dict[str, float] = field(default_factory=dict)


_loading = Lock()
_held = _Held()


def own() -> Reader:
    """The reader of the package in use, loaded if it is not yet.

    A package that cannot be loaded leaves the one before in its place, and says why on its row.

    Raises:
        Exception: whatever `ml.reading.load` raises, when there is none before.
    """
    with _loading:
        package = packages.in_use()
        digest = package.digest if package else ""
        if _held.own is None or (_held.own[0] != digest and _may_try(digest)):
            _replace(package, digest)
        assert _held.own is not None
        return _held.own[1]


def ensure_sound() -> None:
    """Look at the package of the settings without loading it, where no row can be asked.

    Raises:
        ml.packages.PackageTampered: a file of it is missing or changed.
    """
    model_packages.verify(packages.folder_of(None) or model_packages.COMMITTED)


def shadow() -> Reader | None:
    """The reader of the package that reads along, when pictures wait for it; else None."""
    package = packages.reading_along()
    if package is None:
        _held.shadow = None
        return None
    if not _waits_for(package):
        return None
    with _loading:
        held = _held.shadow
        if (held is None or held[0] != package.digest) and _may_try(package.digest):
            _held.shadow = None  # never three at once
            try:
                _held.shadow = (package.digest, _load(package))
            except Exception as error:
                _note_failure(package, package.digest, error)
        held = _held.shadow
        return held[1] if held and held[0] == package.digest else None


def _replace(package: ModelPackage | None, digest: str) -> None:
    if _held.shadow and _held.shadow[0] == digest:
        _held.own, _held.shadow = _held.shadow, None
        return
    try:
        _held.own = (digest, _load(package))
    except Exception as error:
        _note_failure(package, digest, error)
        if _held.own is None:
            raise
        log.error("reading on with %s", _held.own[1].package.name)


def _load(package: ModelPackage | None) -> Reader:
    reader = reading.load(packages.folder_of(package), engine=settings.MODEL_ENGINE)
    if package:
        if reader.package.digest != package.digest:
            raise PackageReplaced(
                f"{package.path} holds another package by now. Put the registered one back, "
                "or register and activate the new one."
            )
        packages.note_loaded(package, trouble="")
    log.info("model %s ready on %s", reader.package.name, reader.engine)
    return reader


def _may_try(digest: str) -> bool:
    failed = _held.failed.get(digest)
    return failed is None or time.monotonic() - failed > PATIENCE_SECONDS


def _note_failure(package: ModelPackage | None, digest: str, error: Exception) -> None:
    _held.failed[digest] = time.monotonic()
    log.error("the model package %s cannot be loaded: %s", package or "of the settings", error)
    if package:
        packages.note_loaded(package, trouble=str(error))


def _waits_for(package: ModelPackage) -> bool:
    waiting = Analysis.objects.filter(
        state=AnalysisState.QUEUED, priority=Priority.SHADOW, package_wanted=package.digest
    )
    return waiting.exists()
