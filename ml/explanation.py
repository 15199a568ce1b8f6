"""Where in a picture the network found what it answered: one map for each of its two trunks.

    explanation = explain(reader, picture)      # the reader of `ml.reading.load`
    overlay(picture, explanation.original.heat) # what a person looks at
    explanation.cells                           # what each cell of the gallery adds

The method is HiResCAM (Draelos and Carin 2020, arXiv 2011.08891): every position of a trunk's
last map counts what it adds to the answer, gradient times activation, summed over channels.
Why this one, of the many:

- Grad-CAM averages the gradient over the picture first, so it may light up places that the
  answer does not depend on. Grad-CAM++ and LayerCAM weight by positive gradients only and add
  up to nothing in particular. HiResCAM's map *is* the answer: the head is made of dense layers
  with ReLU, so around one picture it is linear, and the sum of both maps plus one constant is
  the score, to the last digit.
- Both trunks end in a global average, so the gradient at each of the 64 positions is that of
  the pooled feature / 64. It takes the head's weights and its ReLU gates, a few products of
  NumPy: no automatic differentiation, whatever runs the trunks. (For the same reason plain
  Grad-CAM agrees with HiResCAM on this network, up to a factor. On another it would not.)

What is explained is the class's logit less the mean of all four: softmax does not see what is
added to every logit alike, so neither should the map. And activations are counted from those of
empty glass (a blank field without cells), position by position. Behind a global average the zero
of an activation means nothing by itself, any bias could move it; so the question has to be asked
against something, and this is it: what does this place add that empty glass would not have? It
also takes out the frame that zero padding leaves in every map, and the blanked corner.

The second trunk looks at the gallery (`ml.gallery`), and 2 x 2 positions of its map lie on each
of the sixteen tiles. A cell's evidence is the sum over its tiles, the repeated ones included, so
that cells, the other trunk's map and the constant still add up to the score.

The maps are 8 x 8 and each position has seen more of the picture than its own square, in the
gallery its neighbours, too: a cell's evidence is what was found at its place, not what would be
lost with it. The maps show where the model looked. They do not show where the disease is, nor
whether the answer is right.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ml import gallery
from ml.classes import CLASSES, Class
from ml.gallery import GLASS, GRID, SIDE
from ml.packages import Package
from ml.preprocessing import Picture, prepare
from ml.reading import Reader
from ml.segmentation import Segmentation

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

WORDS = "Where the model looked, not where the disease is."
"""Belongs beside every overlay, wherever it is shown."""

OPACITY = 0.7
COLOURS = cv2.COLORMAP_VIRIDIS
"""Perceptual: equal steps of the map look like equal steps, also to the colour-blind."""


class NothingToExplain(Exception):
    """The quality gate kept the picture from the network: there is no answer to explain."""


@dataclass(frozen=True, slots=True)
class Map:
    """What one trunk found, position by position.

    `evidence` (8, 8) float32, signed, in logits: what each position of the trunk's own input adds
    to the score of the class (below 0: speaks against it). `heat` (H, W) float32 0..1 in the
    field's own pixels: what speaks for the class, smoothly enlarged, 1 at its strongest; all 0
    where nothing does.

    `share` 0..1 is the part of what speaks for the class that lies inside segmented cells, None
    where nothing speaks for it. Two anchors for it, 0..1: `by_chance` is the part of the input
    that cells cover, and so the share of a model that looks nowhere in particular; `cells_only`
    is the share that a map as coarse as this gives to one that looks at cells alone, at all of
    them. On the gallery a cell is parted from the margin and the glass around it; but four
    positions meet in a cell's middle and each holds a quarter of it, so there the share says
    whether large cells spoke rather than small ones, not what of a cell was looked at.
    `Explanation.cells` says more.
    """

    evidence: Floats
    heat: Floats
    share: float | None
    by_chance: float
    cells_only: float


@dataclass(frozen=True, slots=True)
class Shown:
    """A cell of the gallery, and what was found there.

    `index` is its place in `Segmentation.cells`. `evidence`, signed, in logits, is the sum over
    the `tiles` (1..16) that show it: where ten cells fill sixteen tiles, six count twice, for the
    network as well.
    """

    index: int
    evidence: float
    tiles: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why the network said `label`, as far as maps can tell.

    `score` is the label's logit less the mean logit; it is `constant` (what the head would say
    of empty glass, its gates as they stand) plus the sum of both maps' evidence. `cells` are
    those of the gallery in its order, largest first; their evidence is the segmented map's, cell
    by cell. Without a cell there are none, and that map is 0 everywhere.
    """

    label: Class
    original: Map
    segmented: Map
    cells: tuple[Shown, ...]
    score: float
    constant: float

    @property
    def weight_original(self) -> float | None:
        """The original's part of all that speaks for the class, 0..1; the rest is the other's."""
        left, right = (np.maximum(m.evidence, 0).sum() for m in (self.original, self.segmented))
        return float(left / (left + right)) if left + right else None


@dataclass(frozen=True, slots=True)
class Ladder:
    """The dense head as NumPy: (kernel, bias) of each layer, ReLU between, logits at the end."""

    layers: tuple[tuple[Floats, Floats], ...]

    @classmethod
    def of(cls, package: Package) -> Ladder:
        """The package's head. Raises `PackageTampered` as `Package.tensors` does."""
        return cls.from_weights(package.tensors("head.safetensors"))

    @classmethod
    def from_weights(cls, weights: dict[str, NDArray[Any]]) -> Ladder:
        """From `NAME/kernel` and `NAME/bias`; a ladder only narrows, so shapes tell the order.

        ValueError when the layers do not fit onto each other: another head needs other code.
        """
        names = [name.removesuffix("/kernel") for name in weights if name.endswith("/kernel")]
        names.sort(key=lambda name: weights[f"{name}/kernel"].shape, reverse=True)
        layers = tuple((weights[f"{name}/kernel"], weights[f"{name}/bias"]) for name in names)
        widths = [kernel.shape for kernel, _ in layers]
        fits = all(a[1] == b[0] for a, b in pairwise(widths))
        if not fits or not widths or widths[-1][1] != len(CLASSES):
            raise ValueError(f"not a ladder of dense layers to {len(CLASSES)} classes: {widths}")
        return cls(layers)

    def logits(self, features: Floats) -> Floats:
        """(F,) pooled features to (4,) logits."""
        return self._climb(features)[0]

    def gradient(self, features: Floats, direction: Floats) -> Floats:
        """(F,): how `direction` (4,) of the logits grows with each feature, at these features."""
        gates = self._climb(features)[1]
        slope = self.layers[-1][0] @ direction
        for (kernel, _), gate in zip(self.layers[-2::-1], reversed(gates), strict=True):
            slope = kernel @ (slope * gate)
        return np.asarray(slope, dtype=np.float32)

    def _climb(self, features: Floats) -> tuple[Floats, list[Mask]]:
        gates = []
        x = np.asarray(features, dtype=np.float32)
        for kernel, bias in self.layers[:-1]:
            x = x @ kernel + bias
            gates.append(x > 0)
            x = np.maximum(x, 0)
        kernel, bias = self.layers[-1]
        return np.asarray(x @ kernel + bias), gates


def explain(reader: Reader, picture: Picture, *, label: Class | None = None) -> Explanation:
    """Why `reader`'s network says `label` (default: its likeliest class) of the picture.

    `picture` (H, W, 3) uint8 RGB, as given to `Reader.read`. Loads nothing but the head's few
    weights: the trunks are the reader's own. Raises `NothingToExplain` for a picture that the
    quality gate kept from the network, `PackageTampered` when the head's file has changed.
    """
    ready = prepare(picture)
    if ready.quality.verdict != "ok":
        raise NothingToExplain(f"the quality gate refused the picture ({ready.quality.code})")
    empty = np.full((SIDE, SIDE, 3), GLASS, np.uint8)  # as a field and as a gallery
    original, segmented = reader.maps(
        np.stack([ready.original, empty]), np.stack([ready.segmented, empty])
    )
    return from_maps(
        Ladder.of(reader.package),
        (original[0], segmented[0]),
        empty=(original[1], segmented[1]),
        segmentation=ready.segmentation,
        label=label,
    )


def from_maps(
    head: Ladder,
    maps: tuple[Floats, Floats],
    *,
    empty: tuple[Floats, Floats],
    segmentation: Segmentation,
    label: Class | None = None,
) -> Explanation:
    """`explain`, for whoever holds the trunks' maps already, from whatever backend.

    `maps` (8, 8, C) of the original's and the segmented's trunk, `empty` the same of empty
    glass; `segmentation` the field's, from which its gallery was laid.
    """
    features = np.concatenate([one.mean(axis=(0, 1)) for one in maps])
    logits = head.logits(features)
    told = label or CLASSES[int(logits.argmax())]
    direction = np.eye(len(CLASSES), dtype=np.float32)[CLASSES.index(told)] - 1 / len(CLASSES)
    slopes = np.split(head.gradient(features, direction), [maps[0].shape[-1]])
    on_field, on_gallery = (
        np.asarray((here - bare) @ slope / (here.shape[0] * here.shape[1]), dtype=np.float32)
        for here, bare, slope in zip(maps, empty, slopes, strict=True)
    )
    cells = _shown(on_gallery, segmentation)
    score = float(logits @ direction)
    return Explanation(
        label=told,
        original=_on_field(on_field, segmentation.mask),
        segmented=_on_gallery(on_gallery, cells, segmentation),
        cells=cells,
        score=score,
        constant=score - float(on_field.sum() + on_gallery.sum()),
    )


def overlay(picture: Picture, heat: Floats, *, opacity: float = OPACITY) -> Picture:
    """The (H, W, 3) uint8 picture under its (H, W) heat; show `WORDS` beside it.

    Where nothing was found the picture stays as it is; at the strongest place the colour covers
    it by `opacity`, 0..1. ValueError when sizes differ or opacity is out of range.
    """
    if picture.shape[:2] != heat.shape or not 0 <= opacity <= 1:
        raise ValueError(f"picture {picture.shape}, heat {heat.shape}, opacity {opacity}")
    cover = (heat * opacity)[..., None]
    mixed = np.rint(picture * (1 - cover) + colours(heat) * cover)
    return np.asarray(mixed, dtype=np.uint8)


def layer(heat: Floats) -> Picture:
    """(H, W) 0..1 to (H, W, 4) uint8: `colours`, the more opaque the stronger; show `WORDS`."""
    opacity = np.rint(heat * 255).astype(np.uint8)
    return np.dstack([colours(heat), opacity])


def colours(heat: Floats) -> Picture:
    """(H, W) 0..1 to (H, W, 3) uint8 RGB of the scale that `overlay` paints with."""
    painted = cv2.applyColorMap(np.rint(heat * 255).astype(np.uint8), COLOURS)
    return np.asarray(painted[..., ::-1], dtype=np.uint8)


def _on_field(evidence: Floats, cells: Mask) -> Map:
    heat, seen = _enlarge(evidence, cells.shape), cells.astype(np.float32)
    coarse = cv2.resize(seen, evidence.shape[::-1], interpolation=cv2.INTER_AREA)
    return Map(
        evidence=evidence,
        heat=_to_one(heat),
        share=_share(heat, seen),
        by_chance=float(seen.mean()),
        cells_only=_share(_enlarge(np.asarray(coarse, np.float32), cells.shape), seen) or 0.0,
    )


def _on_gallery(evidence: Floats, cells: tuple[Shown, ...], segmentation: Segmentation) -> Map:
    seen = _nuclei(segmentation, evidence.shape)
    return Map(
        evidence=evidence,
        heat=_to_one(_at_their_windows(cells, segmentation)),
        share=_share(np.maximum(evidence, 0), seen),
        by_chance=float(seen.mean()),
        cells_only=_share(seen, seen) or 0.0,
    )


def _shown(evidence: Floats, segmentation: Segmentation) -> tuple[Shown, ...]:
    """The gallery's cells, each with the sum over its tiles."""
    spots = gallery.spots(segmentation)
    if not len(spots):
        return ()
    of_tile = evidence.reshape(GRID, -1, GRID, evidence.shape[1] // GRID).sum(axis=(1, 3)).ravel()
    centres = np.array([cell.centre for cell in segmentation.cells], dtype=np.float32)
    return tuple(
        Shown(
            index=int(np.square(centres - spot).sum(axis=1).argmin()),
            evidence=float(of_tile[number :: len(spots)].sum()),
            tiles=len(of_tile[number :: len(spots)]),
        )
        for number, spot in enumerate(spots)
    )


def _at_their_windows(cells: tuple[Shown, ...], segmentation: Segmentation) -> Floats:
    """(H, W): a hill over each cell that speaks for the class, as high as its evidence.

    It ends with the window that the gallery cut, and is of one height: the quarters of a tile
    have all seen the whole cell. Where windows overlap the higher hill counts.
    """
    shape = segmentation.mask.shape
    half = max(1, round(max(shape) * gallery.WINDOW / 2))
    hill = cv2.createHanningWindow((2 * half + 1, 2 * half + 1), cv2.CV_32F)
    # A margin all round, for the windows that reach over the field's edge.
    heat = np.zeros((shape[0] + 2 * half, shape[1] + 2 * half), dtype=np.float32)
    corners = gallery.windows(gallery.spots(segmentation), shape)
    for cell, (x, y) in zip(cells, corners, strict=True):
        window = heat[y : y + 2 * half + 1, x : x + 2 * half + 1]
        np.maximum(window, hill * cell.evidence, out=window)
    return heat[half:-half, half:-half]


def _nuclei(segmentation: Segmentation, grid: tuple[int, ...]) -> Floats:
    """The part of each position's square of the gallery that segmented cells cover, 0..1.

    Painted and laid out as the field is: white cells on black make a gallery in which the red
    channel is cell or glass, and the green one glass alone.
    """
    field = np.zeros((*segmentation.mask.shape, 3), np.uint8)
    field[segmentation.mask, 0] = 255
    laid = gallery.gallery(field, segmentation.mask, gallery.spots(segmentation))
    covered = (laid[..., 0].astype(np.float32) - laid[..., 1]) / 255
    coarse = cv2.resize(covered, grid[::-1], interpolation=cv2.INTER_AREA)
    return np.clip(np.asarray(coarse, dtype=np.float32), 0, 1)


def _share(weight: Floats, covered: Floats) -> float | None:
    total = float(weight.sum())
    return float((weight * covered).sum()) / total if total else None


def _to_one(heat: Floats) -> Floats:
    return heat / heat.max() if heat.any() else heat


def _enlarge(evidence: Floats, shape: tuple[int, ...]) -> Floats:
    """The positive part in the field's pixels; what cubic curves swing below 0 is cut off."""
    positive = np.maximum(evidence, 0).astype(np.float32)
    big = cv2.resize(positive, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    return np.maximum(big, 0).astype(np.float32)
