"""One explanation on one sheet: the field, where VGG16 looked, every cell with what it adds."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ml import gallery
from ml.card import NAMES
from ml.explanation import OPACITY, WORDS, Explanation, Map, colours, overlay
from ml.gallery import GRID
from ml.preprocessing import Picture, balance, blank_corner
from ml.segmentation import Segmentation

PANEL = 480  # pixels: the longer side of each of the three pictures
GAP = 24
TITLE, TEXT, SMALL = 24, 17, 15  # letter heights
INK, QUIET, PAPER, NONE = (26, 28, 34), (88, 92, 104), (255, 255, 255), (206, 208, 214)
SCALE_WIDTH = 220
FRAME, BAR = 5, 9  # pixels: around a cell of the gallery, and its bar's height
FADED = 0.7  # 0..1, towards the paper: what the gallery only repeats


def draw(
    picture: Picture,
    segmentation: Segmentation,
    explanation: Explanation,
    *,
    title: str,
    opacity: float = OPACITY,
) -> Picture:
    """(h, w, 3) uint8: outlined field, VGG16's overlay, the gallery, shares and legend, on white.

    A cell bears the same number on the field as in the gallery, and beside it what it adds to
    the answer's score. `picture` and `segmentation` are of the size that was explained;
    ValueError otherwise.
    """
    field = _enlarged(segmentation.outline(picture))
    looked = _enlarged(overlay(picture, explanation.original.heat, opacity=opacity))
    _number(field, explanation, segmentation, picture.shape)
    panels = [field, looked, _gallery(picture, segmentation, explanation)]
    weight = explanation.weight_original
    cells = (
        f"{len(segmentation.cells)} cells, {explanation.original.by_chance:.0%} of the picture; "
    )
    cells += f"{len(explanation.cells)} are in the gallery"
    captions = [
        ("The field", [cells, *_numbers_meaning(explanation)]),
        ("Where VGG16 looked", _found(explanation.original, explanation, weight)),
        (
            "What DenseNet found in each cell",
            _told(explanation, None if weight is None else 1 - weight),
        ),
    ]
    top, tall = GAP + TITLE + GAP // 2, max(panel.height for panel in panels)
    below = 4 * (TEXT + 8) + 12
    sheet = Image.new("RGB", (3 * PANEL + 4 * GAP, top + tall + below + SMALL + 2 * GAP), PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((GAP, GAP - 4), title, INK, font=ImageFont.load_default(TITLE))
    for number, (panel, (head, lines)) in enumerate(zip(panels, captions, strict=True)):
        left = GAP + number * (PANEL + GAP)
        sheet.paste(panel, (left, top))
        _write(pen, (left, top + tall + 10), [head, *lines])
    _legend(sheet, pen, top + tall + below + GAP // 2)
    return np.asarray(sheet, dtype=np.uint8)


def votes(explanation: Explanation) -> str:
    """How many of the gallery's cells speak for the answer, as '7 of 9'."""
    speaking = sum(cell.evidence > 0 for cell in explanation.cells)
    return f"{speaking} of {len(explanation.cells)}"


def _gallery(picture: Picture, segmentation: Segmentation, explanation: Explanation) -> Image.Image:
    """What DenseNet was shown, each cell framed and measured; what only repeats is faded."""
    spots = gallery.spots(segmentation)
    shown = gallery.gallery(balance(blank_corner(picture)), segmentation.mask, spots)
    panel, side = _enlarged(shown), PANEL // GRID
    faded = Image.blend(panel, Image.new("RGB", panel.size, PAPER), FADED)
    for tile in range(len(explanation.cells), GRID * GRID):
        left, top = tile % GRID * side, tile // GRID * side
        box = (left, top, left + side, top + side)
        panel.paste(faded.crop(box), box)
    most = max((cell.evidence for cell in explanation.cells), default=0.0)
    for number, cell in enumerate(explanation.cells):
        at = number % GRID * side, number // GRID * side
        _frame(ImageDraw.Draw(panel), at, side, cell.evidence / most if most > 0 else 0.0)
        _label(ImageDraw.Draw(panel), (at[0] + 8, at[1] + 8), _figure(number, cell.evidence))
    return panel


def _frame(pen: ImageDraw.ImageDraw, at: tuple[int, int], side: int, strength: float) -> None:
    """A frame as bright, and a bar as long, as the cell speaks for the answer; grey if it doesn't.

    `strength` is 1 for the cell that speaks loudest for it.
    """
    (left, top), colour = at, NONE
    if strength > 0:
        red, green, blue = colours(np.full((1, 1), strength, np.float32))[0, 0].tolist()
        colour = (red, green, blue)
    pen.rectangle((left + 1, top + 1, left + side - 2, top + side - 2), outline=colour, width=FRAME)
    inner, foot = left + FRAME + 1, top + side - FRAME - 3
    pen.rectangle((inner, foot - BAR, left + side - FRAME - 3, foot), fill=PAPER)
    if strength > 0:
        end = inner + max(1, round((side - 2 * FRAME - 4) * strength))
        pen.rectangle((inner, foot - BAR + 2, end, foot), fill=colour)


def _number(
    field: Image.Image,
    explanation: Explanation,
    segmentation: Segmentation,
    shape: tuple[int, ...],
) -> None:
    """Write under each cell of the field that the gallery shows what it adds."""
    pen, factor = ImageDraw.Draw(field), PANEL / max(shape[:2])
    for number, cell in enumerate(explanation.cells):
        found = segmentation.cells[cell.index]
        text = _figure(number, cell.evidence)
        wide = pen.textlength(text, font=ImageFont.load_default(SMALL)) + 6
        x, y = found.centre[0] * factor - wide / 2, float(found.contour[:, 1].max()) * factor + 3
        _label(
            pen,
            (min(max(x, 0), max(field.width - wide, 0)), min(y, field.height - SMALL - 4)),
            text,
        )


def _label(pen: ImageDraw.ImageDraw, at: tuple[float, float], text: str) -> None:
    font = ImageFont.load_default(SMALL)
    x, y = at
    pen.rectangle((x, y, x + pen.textlength(text, font=font) + 6, y + SMALL + 4), fill=PAPER)
    pen.text((x + 3, y), text, INK, font=font)


def _figure(number: int, evidence: float) -> str:
    return f"{number + 1}: {evidence:+.1f}"


def _enlarged(picture: Picture) -> Image.Image:
    factor = PANEL / max(picture.shape[:2])
    width, height = (max(1, round(side * factor)) for side in picture.shape[1::-1])
    return Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC)


def _found(one: Map, explanation: Explanation, weight: float | None) -> list[str]:
    """Under the overlay: what it weighs, how much lies in cells, beside what to hold that."""
    answer = NAMES[explanation.label]
    if one.share is None or weight is None:
        return [f"nothing here speaks for {answer}"]
    return [
        f"{weight:.0%} of what speaks for {answer}",
        f"{one.share:.0%} of that lies inside cells; by chance {one.by_chance:.0%},",
        f"and {one.cells_only:.0%} if it looked at cells alone",
    ]


def _told(explanation: Explanation, weight: float | None) -> list[str]:
    """Under the gallery: what it weighs, how many cells agree, what the faded ones are."""
    answer, shown = NAMES[explanation.label], len(explanation.cells)
    if not shown:
        return ["no cell was found: it was shown empty glass"]
    said = f"nothing here speaks for {answer}" if not weight else ""
    lines = [said or f"{weight:.0%} of what speaks for {answer}"]
    lines.append(f"{votes(explanation)} cells speak for it, grey ones against it")
    if shown < GRID * GRID:
        lines.append("faded: the same cells again, to fill the square")
    return lines


def _numbers_meaning(explanation: Explanation) -> list[str]:
    if not explanation.cells:
        return []
    return [
        f"1: {explanation.cells[0].evidence:+.1f}, the first cell of the gallery and what it",
        f"adds to the score of {NAMES[explanation.label]}, {explanation.score:+.1f} in all",
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
