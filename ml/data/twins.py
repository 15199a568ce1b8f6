"""Pictures that show the same thing: exact copies, near copies, and fields that overlap.

Two fields of one slide are shifted against each other, as the stage of a microscope moves them.
Phase correlation (Kuglin and Hines 1975) finds the shift of every pair at once from the pictures'
spectra, coarsely; the few that stand out are then compared pixel by pixel where they overlap.
2,778 pictures are 3.9 million pairs, about two minutes on one core.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations

import cv2
import numpy as np
from numpy.typing import NDArray

from ml.data.index import Report, silent
from ml.data.survey import VIEW, Survey
from ml.preprocessing import CORNER_SHARE

COARSE = 64  # pixels: the side of the spectra
# Of one picture against 2,777 others (Taleqani) the peak is above this once in a thousand by
# chance. What passes is looked at again, so it may be generous: at 0.06 a sixth less is found.
PEAK = 0.042
LEAST_SHARED = 0.12  # of the field's area: less holds too few cells to be sure
# Correlation of the shared area, 1 being equal. Over all pairs of the Taleqani set it is bimodal:
# above 0.5 or below 0.35, and no pair above it crosses the classes.
ALIKE = 0.5
SAME_VIEW = 0.02  # of the side: a shift below this is no other field, but the same one again

Shift = tuple[int, int]


class Kind(StrEnum):
    """How two pictures are twins."""

    EXACT = "exact copy"
    NEAR = "near copy"
    OVERLAP = "overlapping field"


@dataclass(frozen=True, slots=True)
class Twins:
    """Two pictures, by position (`first` < `second`), and what they share.

    `alike` is the correlation of the shared area, `shared` that area as a share of the field,
    `shift` (rows, columns) where the first's origin lies in the second, in shares of a side.
    """

    first: int
    second: int
    kind: Kind
    alike: float = 1.0
    shared: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)


def find_twins(seen: Survey, *, report: Report = silent) -> list[Twins]:
    """Every pair of twins among the surveyed pictures, by position."""
    exact = exact_copies([example.sha256 for example in seen.examples])
    known = {(pair.first, pair.second) for pair in exact}
    found = (_compare(seen.views, *pair) for pair in _candidates(seen.views, report))
    similar = [pair for pair in found if pair and (pair.first, pair.second) not in known]
    return sorted([*exact, *similar], key=lambda pair: (pair.first, pair.second))


def exact_copies(digests: Sequence[str]) -> list[Twins]:
    """Every pair with the same bytes."""
    homes: dict[str, list[int]] = defaultdict(list)
    for position, digest in enumerate(digests):
        homes[digest].append(position)
    return [
        Twins(*pair, kind=Kind.EXACT) for home in homes.values() for pair in combinations(home, 2)
    ]


def _candidates(views: NDArray[np.int8], report: Report) -> Iterator[tuple[int, int, Shift]]:
    """Pairs whose phase correlation has a peak, and the coarse shift of it."""
    from scipy import fft  # noqa: PLC0415 - float32 all through, which numpy's is not

    spectra = _spectra(views)
    for first in range(len(views) - 1):
        cross = spectra[first + 1 :] * spectra[first].conj()
        peaks = fft.irfft2(cross, overwrite_x=True).reshape(len(cross), -1)
        at = peaks.argmax(axis=1)
        for other in np.flatnonzero(peaks[np.arange(len(at)), at] > PEAK):
            row, column = divmod(int(at[other]), COARSE)
            yield first, first + 1 + int(other), (row, column)
        report("looking for the same field twice", first + 2, len(views))


def _spectra(views: NDArray[np.int8]) -> NDArray[np.complex64]:
    """(N, COARSE, COARSE // 2 + 1): phases only, faded towards the noise of fine detail."""
    from scipy import fft  # noqa: PLC0415

    window = np.hanning(COARSE + 2)[1:-1] ** 0.5
    fade = fft.fftfreq(COARSE)[:, None] ** 2 + fft.rfftfreq(COARSE)[None] ** 2
    fade = np.exp(-fade / (4 * 0.18**2)).astype(np.float32)
    spectra = np.empty((len(views), COARSE, COARSE // 2 + 1), dtype=np.complex64)
    for view, spectrum in zip(views, spectra, strict=True):
        small = cv2.resize(view.astype(np.float32), (COARSE, COARSE), interpolation=cv2.INTER_AREA)
        wave = fft.rfft2((small - small.mean()) * np.outer(window, window).astype(np.float32))
        size = np.abs(wave)
        spectrum[:] = wave / (size + 1e-3 * size.mean() + 1e-9) * fade
    return spectra


def _compare(views: NDArray[np.int8], first: int, second: int, coarse: Shift) -> Twins | None:
    """The pair as twins, if the area that this shift lets them share is alike."""
    scale = VIEW // COARSE
    one, other = views[first].astype(np.float32), views[second].astype(np.float32)

    def best(shifts: Iterator[Shift]) -> tuple[float, float, Shift]:
        return max((*_alike(one, other, shift), shift) for shift in shifts)

    # A spectrum goes round: a shift by 50 of 64 may be one by -14.
    rows, columns = ((s * scale, s * scale - VIEW) for s in coarse)
    alike, shared, (row, column) = best((r, c) for r in rows for c in columns)
    alike, shared, (row, column) = best(
        (row + r, column + c) for r in (-1, 0, 1) for c in (-1, 0, 1)
    )
    if alike < ALIKE:
        return None
    shift = (row / VIEW, column / VIEW)
    kind = Kind.NEAR if max(map(abs, shift)) < SAME_VIEW else Kind.OVERLAP
    return Twins(first, second, kind, alike, shared, shift)


def _alike(
    one: NDArray[np.float32], other: NDArray[np.float32], shift: Shift
) -> tuple[float, float]:
    """Correlation and size of the area that both show, the blanked corners left out."""
    rows, columns = shift
    top, left = max(0, -rows), max(0, -columns)
    bottom, right = min(VIEW, VIEW - rows), min(VIEW, VIEW - columns)
    if bottom <= top or right <= left:
        return 0.0, 0.0
    here = np.s_[top:bottom, left:right]
    there = np.s_[top + rows : bottom + rows, left + columns : right + columns]
    kept = _unmarked()[here] & _unmarked()[there]
    shared = float(kept.sum()) / VIEW**2
    if shared < LEAST_SHARED:
        return 0.0, shared
    a, b = one[here][kept], other[there][kept]
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return (float((a * b).sum()) / size if size > 0 else 0.0), shared


def _unmarked() -> NDArray[np.bool_]:
    kept = np.ones((VIEW, VIEW), dtype=np.bool_)
    edge = VIEW - int(np.ceil(VIEW * CORNER_SHARE))
    kept[edge:, edge:] = False
    return kept
