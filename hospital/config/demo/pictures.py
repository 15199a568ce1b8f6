"""Which pictures the demonstration sends, and which of them lie on one slide."""

import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from uuid import uuid4

from django.conf import settings

from devices.simulator.pictures import pictures_in

FIELDS_PER_SLIDE = 4
SYNTHETIC_COUNT = 24


class NoPictures(Exception):
    """There is nothing to send."""


@dataclass(frozen=True, slots=True)
class Slide:
    """Pictures that go under one accession number."""

    pictures: tuple[Path, ...]


def slides_from(folder: Path, count: int | None) -> list[Slide]:
    """Choose `count` pictures of `folder` (all with None) and lay them on slides.

    Folders within the folder are taken for classes, or patients: every one gets its share, and
    only pictures of the same one share a slide. Pictures that lie together in one flat folder are
    taken for strangers, each on a slide of its own.

    Raises:
        NoPictures: the folder does not exist or holds none.
    """
    if not folder.is_dir():
        raise NoPictures(f"There is no folder {folder}.")
    by_folder = defaultdict(list)
    for path in pictures_in(folder):
        by_folder[path.parent].append(path)
    if not by_folder:
        raise NoPictures(f"No JPEG, PNG or TIFF pictures in {folder}.")
    shares = _shares([len(paths) for paths in by_folder.values()], count)
    size = FIELDS_PER_SLIDE if len(by_folder) > 1 else 1
    per_folder = [
        _on_slides(_spread(paths, share), size)
        for paths, share in zip(by_folder.values(), shares, strict=True)
    ]
    # In turns, so that the first reports on the screen are not all of one class.
    return [slide for turn in zip_longest(*per_folder) for slide in turn if slide]


def make_synthetic(folder: Path, count: int = SYNTHETIC_COUNT) -> Path:
    """Fill `folder` with drawn smears, marked as such in the files; nothing is done twice.

    In a process of its own: this part of the product does not know `ml`.
    """
    done = folder / f".made-{count}"
    if not done.exists():
        command = [sys.executable, "-m", "ml", "synth", str(folder), "--count", str(count)]
        # A few that a microscope would have to take again, so that this is seen, too.
        command += ["--flawed", "0.1"]
        subprocess.run(command, cwd=settings.BASE_DIR, check=True, stdout=subprocess.DEVNULL)
        done.touch()
    return folder


def taken_now(slides: list[Slide], folder: Path) -> list[Slide]:
    """The slides with copies of their pictures in `folder`, each a file unlike all others.

    A microscope never takes the same picture twice. A demonstration that is played again does,
    for another patient, and the hospital would rightly call that a mix-up.
    """
    fresh = []
    for slide in slides:
        copies = []
        for picture in slide.pictures:
            copy = folder / uuid4().hex / picture.parent.name / picture.name
            copy.parent.mkdir(parents=True)
            copy.write_bytes(_marked(picture.read_bytes()))
            copies.append(copy)
        fresh.append(Slide(tuple(copies)))
    return fresh


def _marked(body: bytes) -> bytes:
    """The same pixels in other bytes: a comment in a JPEG, a few bytes behind any other file."""
    mark = uuid4().bytes
    if body.startswith(b"\xff\xd8"):
        return body[:2] + b"\xff\xfe\x00\x12" + mark + body[2:]
    return body + mark


def _shares(sizes: list[int], count: int | None) -> list[int]:
    """Deal `count` out over piles of these sizes, as evenly as they allow."""
    left = sum(sizes) if count is None else min(count, sum(sizes))
    shares = [0] * len(sizes)
    while left:
        for index, size in enumerate(sizes):
            if left and shares[index] < size:
                shares[index] += 1
                left -= 1
    return shares


def _spread(paths: list[Path], share: int) -> list[Path]:
    """`share` of the paths, evenly apart: neighbours are often fields of one slide."""
    return [paths[index * len(paths) // share] for index in range(share)]


def _on_slides(paths: list[Path], size: int) -> list[Slide]:
    return [Slide(tuple(paths[start : start + size])) for start in range(0, len(paths), size)]
