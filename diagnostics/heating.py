"""The worker's hand for heat maps. Only a worker process runs this: it needs the model."""

import logging

from django.db import InterfaceError, OperationalError

from diagnostics import pipeline
from diagnostics.models import HeatMap
from diagnostics.services import heat as heat_maps
from hospital.base import files
from ml import explanation, images
from ml.classes import Class
from ml.preprocessing import open_picture
from ml.reading import Reader

log = logging.getLogger(__name__)

SIDE = 512  # of the stored map; it is an 8 x 8 grid, smoothly enlarged


def draw_wanted(*, model: Reader | None = None) -> int:
    """Draw the maps that readers wait for; returns how many were settled."""
    settled = 0
    while not pipeline.stopping() and heat_maps.waiting():
        # Before claiming: a model that takes its time to load must not eat the lease.
        reader = model or pipeline.reader()
        if not (heat := heat_maps.claim()):
            break
        if heat_maps.exhausted(heat):
            settled += heat_maps.fail(heat, "worker_lost")
            continue
        try:
            drawn = _draw(heat, reader)
        except (OperationalError, InterfaceError):
            raise  # the database is away: tried again when it is back
        except Exception:
            log.exception("heat map of %s", heat.pk)
            drawn = "internal"
        settled += (
            heat_maps.fail(heat, drawn) if isinstance(drawn, str) else heat_maps.drawn(heat, drawn)
        )
    return settled


def _draw(heat: HeatMap, model: Reader) -> bytes | str:
    """The map as PNG, transparent where nothing was found; or a code of `heat.FAILURES`."""
    analysis = heat.analysis
    if analysis.package_digest != model.package.digest:
        return "other_package"
    try:
        picture = open_picture(files.read(analysis.image.storage_key))
    except (FileNotFoundError, images.ImageRefused):
        return "file_missing"
    label = Class(analysis.label) if analysis.label else None
    found = explanation.explain(model, picture, label=label)
    layer = explanation.layer(found.original.heat)
    return images.encode_png(images.thumbnail(layer, SIDE))
