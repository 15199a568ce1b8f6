"""The worker's loop: claim a batch, read the pictures with the model, store what it says.

Only a worker process runs this; it is the only place where the model is loaded.
"""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Event, Thread

import numpy as np
from django.conf import settings
from django.db import DatabaseError, connection

from diagnostics.models import Analysis, Outcome
from diagnostics.services import analyses
from hospital.base import files
from ml import images, reading
from ml.reading import Reader, Reading

log = logging.getLogger(__name__)

WORKER = f"{socket.gethostname()}:{os.getpid()}"
OVERLAY_QUALITY = 88
THUMBNAIL_SIDE = 160
MOST_RENEWALS = 30

_stopping = Event()


@cache
def reader() -> Reader:
    """The model, loaded once per worker process and verified against its digest."""
    package = Path(settings.MODEL_PACKAGE) if settings.MODEL_PACKAGE else None
    loaded = reading.load(package, engine=settings.MODEL_ENGINE)
    log.info("model %s ready on %s", loaded.package.name, loaded.engine)
    return loaded


def stop() -> None:
    """Let `drain` end after the batch in hand: the worker is told to stop."""
    _stopping.set()


def drain() -> int:
    """Work until nothing is queued or the worker stops; return how many runs were finished."""
    # Before claiming: a model that takes its time to load must not eat the lease.
    model = reader()
    finished = 0
    while not _stopping.is_set():
        batch = analyses.claim(worker=WORKER, limit=settings.ANALYSIS_BATCH)
        if not batch:
            break
        with _held(batch):
            finished += _work(model, batch)
    return finished


@contextmanager
def _held(batch: list[Analysis]) -> Iterator[None]:
    """Keep the batch's leases alive meanwhile: a slow machine is not a dead one.

    Only for so long: a worker that hangs must lose its work in the end.
    """
    done = Event()

    def keep() -> None:
        try:
            for _ in range(MOST_RENEWALS):
                if done.wait(settings.ANALYSIS_LEASE_SECONDS / 3):
                    return
                analyses.renew(batch)
        except DatabaseError:
            log.warning("leases could not be renewed", exc_info=True)
        finally:
            connection.close()

    keeper = Thread(target=keep, daemon=True)
    keeper.start()
    try:
        yield
    finally:
        done.set()
        keeper.join()


def _work(model: Reader, batch: list[Analysis]) -> int:
    decoded = [
        (analysis, picture) for analysis in batch if (picture := _open(analysis)) is not None
    ]
    finished = len(batch) - len(decoded)
    try:
        readings = model.read([picture for _, picture in decoded]) if decoded else []
    except Exception:
        log.exception("a batch of %d failed; trying its pictures one by one", len(decoded))
        return finished + sum(_alone(model, analysis, picture) for analysis, picture in decoded)
    for (analysis, picture), result in zip(decoded, readings, strict=True):
        finished += _store(model, analysis, picture, result)
    return finished


def _alone(model: Reader, analysis: Analysis, picture: np.ndarray) -> bool:
    """One picture by itself, so that a poisonous neighbour costs the others nothing."""
    try:
        result = model.read([picture])[0]
    except Exception:
        log.exception("analysis %s failed", analysis.pk)
        return analyses.fail(analysis, code="internal")
    return _store(model, analysis, picture, result)


def _open(analysis: Analysis) -> np.ndarray | None:
    """The picture as RGB, or None after failing the run with the reason."""
    try:
        return images.decode(files.read(analysis.image.storage_key))
    except FileNotFoundError:
        code = "file_missing"
    except images.ImageRefused:
        code = "undecodable"
    log.error("analysis %s: %s", analysis.pk, code)
    analyses.fail(analysis, code=code)
    return None


def _store(model: Reader, analysis: Analysis, picture: np.ndarray, result: Reading) -> bool:
    outcome = Outcome(result.outcome)
    reason = result.quality.code or outcome.value
    return analyses.succeed(
        analysis,
        outcome=outcome,
        rejection=reason if outcome in analyses.REJECTING else "",
        result={
            "package_name": model.package.name,
            "package_digest": model.package.digest,
            "engine": model.engine,
            "preprocessing": model.preprocessing,
            "label": result.label or "",
            "probabilities": result.probabilities,
            "familiarity": result.familiarity,
            "quality": result.quality.as_dict(),
            "cell_count": len(result.segmentation.cells),
            "area_share": result.segmentation.area_share,
            **_pictures(analysis, picture, result),
        },
    )


def _pictures(analysis: Analysis, picture: np.ndarray, result: Reading) -> dict[str, str]:
    """Store the segmented picture, the outlines and a thumbnail; return their keys."""
    folder = f"derived/{analysis.pk}"
    outlined = result.segmentation.outline(picture)
    return {
        "segmented_key": files.put(
            f"{folder}/segmented.png", images.encode_png(result.segmentation.isolate(picture))
        ),
        "overlay_key": files.put(
            f"{folder}/overlay.jpg", images.encode_jpeg(outlined, quality=OVERLAY_QUALITY)
        ),
        "thumbnail_key": files.put(
            f"{folder}/thumbnail.jpg",
            images.encode_jpeg(images.thumbnail(picture, THUMBNAIL_SIDE), quality=80),
        ),
    }
