"""Pictures leave the house as pictures: of our type, sandboxed, asked for anew each time."""

import io
import uuid
from typing import Any

import pytest
from django.urls import reverse
from PIL import Image

from diagnostics.services import intake
from tests.diagnostics.test_pages import client_of
from tests.world import content_digest


def original(world: Any, image: Any, **headers: str) -> Any:
    client = client_of(world.technician)
    return client.get(reverse("picture", args=[image.pk, "original"]), headers=headers)


def test_the_bytes_are_those_that_were_sent(world: Any) -> None:
    answer = original(world, world.receive(seed=3))
    assert answer.content == world.smear(3)
    assert answer.headers["Content-Type"] == "image/jpeg"


def test_a_picture_can_do_nothing_but_be_looked_at(world: Any) -> None:
    answer = original(world, world.receive())
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert answer.headers["Content-Disposition"] == 'inline; filename="N-2026-0001-original.jpg"'


def test_a_browser_asks_again_before_it_shows_a_kept_picture(world: Any) -> None:
    """So that a picture is gone with the permission, and costs nothing while it lasts."""
    image = world.receive()
    first = original(world, image)
    assert first.headers["Cache-Control"] == "private, no-cache"
    second = original(world, image, **{"If-None-Match": first.headers["ETag"]})
    assert (second.status_code, second.content) == (304, b"")


def test_a_tiff_is_shown_as_png(world: Any) -> None:
    """Browsers cannot show TIFF; the stored original stays as it was sent."""
    buffer = io.BytesIO()
    Image.open(io.BytesIO(world.smear(5))).save(buffer, "TIFF")
    body = buffer.getvalue()
    image, _ = intake.receive(
        device=world.device,
        image_id=uuid.uuid4(),
        body=body,
        content_digest=content_digest(body),
        accession=world.specimen.accession,
    )
    for _ in range(2):
        answer = original(world, image)
        assert answer.headers["Content-Type"] == "image/png"
        assert Image.open(io.BytesIO(answer.content)).size == (224, 224)


def test_before_the_analysis_the_thumbnail_is_the_original(world: Any) -> None:
    image = world.receive(seed=4)
    client = client_of(world.technician)
    assert client.get(reverse("picture", args=[image.pk, "thumbnail"])).content == world.smear(4)
    assert client.get(reverse("picture", args=[image.pk, "overlay"])).status_code == 404


@pytest.mark.parametrize("kind", ["storage_key", "..", "original.exe", "Original"])
def test_only_the_four_kinds_exist(world: Any, kind: str) -> None:
    image = world.receive()
    answer = client_of(world.technician).get(f"/pictures/{image.pk}/{kind}")
    assert answer.status_code == 404


def test_a_picture_whose_file_is_lost_is_not_an_error_page(world: Any, settings: Any) -> None:
    from django.core.files.storage import default_storage

    image = world.receive()
    default_storage.delete(image.storage_key)
    assert original(world, image).status_code == 404


def test_overlay_and_cells_are_drawn_when_somebody_first_looks_and_kept(world: Any) -> None:
    from diagnostics.models import Analysis, FoundCells
    from diagnostics.services import drawing
    from hospital.base import files
    from ml import images, outlines
    from ml.segmentation import segment

    image = world.receive(seed=6)
    run = world.succeed(image)
    keys = drawing.keys_for(run.pk) | {"overlay_key": f"derived/{run.pk}/drawn.jpg"}
    Analysis.objects.filter(pk=run.pk).update(**keys)
    client = client_of(world.technician)
    overlay, cells = (
        reverse("picture", args=[image.pk, kind]) for kind in ("overlay", "segmented")
    )
    assert client.get(overlay).status_code == 404  # no outlines are known of it
    found = segment(images.decode(world.smear(6)))
    FoundCells.objects.create(analysis=run, outlines=outlines.pack(found))
    first = client.get(overlay)
    assert first.headers["Content-Type"] == "image/jpeg"
    assert files.read(f"derived/{run.pk}/drawn.jpg") == first.content == client.get(overlay).content
    assert client.get(cells).headers["Content-Type"] == "image/png"
