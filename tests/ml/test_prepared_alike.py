"""What pictures are prepared to, held against what the first implementation made of them.

`GOLDEN` was recorded from it on 2026-11-28, before passes over the pixels were saved: every
twelfth real smear, drawn smears of many sizes, and things that are no smear. Only the focus has
been computed in another order since; a plain reading of its definition stands here for it.
"""

import hashlib

import cv2
import numpy as np
import pytest

from ml.images import decode
from ml.preprocessing import blank_corner, prepare
from ml.quality import measure
from ml.synthetic import smear
from tests.ml.shared import BCCD, TALEQANI, needs_shared

GOLDEN = {
    "drawn": "345220ffd603afed",
    "strange": "4e3c8ad982d18403",
    "Benign": "836fb866b2b44697",
    "Early": "1ec38106a925ad4e",
    "Pre": "257e9e85f61a4f2c",
    "Pro": "e0213be7ec38f28e",
    "bccd": "8e82d31f5b91cc14",
}


def real(folder):
    return [decode(file.read_bytes()) for file in sorted(folder.glob("*.jpg"))[::12]]


def drawn():
    return [smear(seed=size, size=size) for size in (64, 130, 224, 300, 448, 640, 901)]


def strange():
    random = np.random.default_rng(5)
    shapes = [(1, 1), (3, 900), (64, 64), (65, 224), (500, 70)]
    flat = [np.full((*shape, 3), value, np.uint8) for shape in shapes for value in (0, 3, 200, 255)]
    noise = [random.integers(0, 256, (*shape, 3), dtype=np.uint8) for shape in shapes]
    return [*flat, *noise, *(cv2.GaussianBlur(one, (0, 0), 3) for one in noise)]


def digest(pictures):
    """Of all that is seen, found and judged in them, but for the focus."""
    seen = hashlib.sha256()
    for ready in map(prepare, pictures):
        for part in (ready.original, ready.segmented, ready.balanced, ready.spots):
            seen.update(part.tobytes())
        found, quality = ready.segmentation, ready.quality
        seen.update(np.packbits(found.mask).tobytes())
        for cell in found.cells:
            seen.update(cell.contour.tobytes())
            seen.update(repr((cell.centre, cell.area, cell.colour)).encode())
        said = {**quality.as_dict()["metrics"], "focus": None}
        seen.update(repr((found.threshold, quality.code, said)).encode())
    return seen.hexdigest()[:16]


def plain_focus(rgb):
    """The best ratio of three quantiles of the slope, at 0.7 and at 2 px of smoothing."""
    green, slopes = rgb[..., 1].astype(np.float32), []
    for sigma in (0.7, 2.0):
        smooth = cv2.GaussianBlur(green, (0, 0), sigma)
        steep = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))
        slopes.append(np.quantile(steep.astype(float), (0.99, 0.97, 0.90)))
    return (slopes[0] / np.maximum(slopes[1], 1e-3)).max()


@pytest.mark.parametrize("pictures", [drawn, strange])
def test_drawn_pictures_are_prepared_as_ever(pictures):
    """The packages were trained behind this: should it fail, VERSION must change with it."""
    assert digest(pictures()) == GOLDEN[pictures.__name__]


@needs_shared
@pytest.mark.parametrize("name", ["Benign", "Early", "Pre", "Pro", "bccd"])
def test_real_smears_are_prepared_as_ever(name):
    folder = BCCD if name == "bccd" else TALEQANI / "original" / name
    assert digest(real(folder)) == GOLDEN[name]


def test_the_focus_is_what_its_definition_says():
    for rgb in [*strange(), smear(seed=1, size=224), cv2.blur(smear(seed=2, size=200), (5, 5))]:
        if max(rgb.shape) <= 224:
            assert measure(rgb).focus == pytest.approx(plain_focus(rgb), rel=1e-6)


@needs_shared
def test_the_focus_of_real_smears_is_what_its_definition_says():
    for rgb in map(blank_corner, real(TALEQANI / "original" / "Pro")):
        assert measure(rgb).focus == pytest.approx(plain_focus(rgb), rel=1e-6)
