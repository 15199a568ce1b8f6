"""One explanation on one sheet: the field, both overlays, and the words that belong to them."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ml.card import NAMES
from ml.explanation import OPACITY, WORDS, Explanation, Map, colours, overlay
from ml.preprocessing import Picture
from ml.segmentation import Segmentation

PANEL = 480  # pixels: the longer side of each of the three pictures
GAP = 24
TITLE, TEXT, SMALL = 24, 17, 15  # letter heights
INK, QUIET, PAPER = (26, 28, 34), (88, 92, 104), (255, 255, 255)
SCALE_WIDTH = 220


def draw(
    picture: Picture,
    segmentation: Segmentation,
    explanation: Explanation,
    *,
    title: str,
    opacity: float = OPACITY,
) -> Picture:
    """(h, w, 3) uint8: outlined field, both trunks' overlays, shares and legend, on white.

    `picture` and `segmentation` are of the size that was explained; ValueError otherwise.
    """
    panels = [
        segmentation.outline(picture),
        overlay(picture, explanation.original.heat, opacity=opacity),
        overlay(segmentation.isolate(picture), explanation.segmented.heat, opacity=opacity),
    ]
    cells = f"{len(segmentation.cells)} cells, {explanation.cells_share:.0%} of the picture"
    weight = explanation.weight_original
    captions = [
        ("The field", [cells]),
        ("Where VGG16 looked", _found(explanation.original, explanation, weight)),
        (
            "Where DenseNet looked, on the cells alone",
            _found(explanation.segmented, explanation, None if weight is None else 1 - weight),
        ),
    ]
    factor = PANEL / max(picture.shape[:2])
    width, height = (max(1, round(side * factor)) for side in picture.shape[1::-1])
    top, below = GAP + TITLE + GAP // 2, 4 * (TEXT + 8) + 12
    sheet = Image.new("RGB", (3 * width + 4 * GAP, top + height + below + SMALL + 2 * GAP), PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((GAP, GAP - 4), title, INK, font=ImageFont.load_default(TITLE))
    for number, (panel, (head, lines)) in enumerate(zip(panels, captions, strict=True)):
        left = GAP + number * (width + GAP)
        sheet.paste(
            Image.fromarray(panel).resize((width, height), Image.Resampling.BICUBIC), (left, top)
        )
        _write(pen, (left, top + height + 10), [head, *lines])
    _legend(sheet, pen, top + height + below + GAP // 2)
    return np.asarray(sheet, dtype=np.uint8)


def _found(one: Map, explanation: Explanation, weight: float | None) -> list[str]:
    """Under an overlay: what it weighs, how much lies in cells, beside what to hold that."""
    answer = NAMES[explanation.label]
    if one.share is None or weight is None:
        return [f"nothing here speaks for {answer}"]
    return [
        f"{weight:.0%} of what speaks for {answer}",
        f"{one.share:.0%} of that lies inside cells; by chance {explanation.cells_share:.0%},",
        f"and {explanation.cells_only:.0%} if it looked at cells alone",
    ]


def _write(pen: ImageDraw.ImageDraw, at: tuple[int, int], lines: Sequence[str]) -> None:
    for number, line in enumerate(lines):
        size, ink = (TEXT + 1, INK) if number == 0 else (TEXT, QUIET)
        place = (at[0], at[1] + number * (TEXT + 8))
        pen.text(place, line, ink, font=ImageFont.load_default(size))


def _legend(sheet: Image.Image, pen: ImageDraw.ImageDraw, top: int) -> None:
    """Colour scale from 'little' to 'most', and the sentence that must never be missing."""
    font = ImageFont.load_default(SMALL)
    bar = np.tile(np.linspace(0, 1, SCALE_WIDTH, dtype=np.float32), (12, 1))
    x = GAP
    pen.text((x, top), "little", QUIET, font=font)
    x += round(pen.textlength("little", font=font)) + 8
    sheet.paste(Image.fromarray(colours(bar)), (x, top + 3))
    x += SCALE_WIDTH + 8
    pen.text((x, top), "most of what speaks for the answer", QUIET, font=font)
    x += round(pen.textlength("most of what speaks for the answer", font=font)) + 2 * GAP
    pen.text((x, top), WORDS, INK, font=ImageFont.load_default(TEXT))
