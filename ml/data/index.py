"""The smears of one folder: which picture is of which class, slide and sitting.

Two layouts are read, spelt in any case: Kaggle's (`Original/<class>/*.jpg` beside
`Segmented/<class>/*.jpg`) and ours (the same in small letters, with a `groups.csv`).
The pictures come without patient ids; `groups.csv` says which were probably taken from one slide.
"""

import csv
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ml.classes import CLASSES, FOLDERS, Class

Report = Callable[[str, int, int], None]  # what is being done, how far, of how much

SUFFIXES = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp"}
INDEX = "groups.csv"
_NEEDED = {"file", "class", "group"}  # columns; session and sha256 may be left out
_WORDS = {"hematogone": Class.BENIGN} | {name.lower(): label for name, label in FOLDERS.items()}


class DataUnreadable(Exception):
    """The folder is not what `read_index` expects, or a file is not the one the index names."""


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled field image. `sha256` is the index's; `read` holds the file to it."""

    path: Path
    label: Class
    group: str
    session: str
    sha256: str
    segmented: Path | None = None
    """The twin that was published with it, or None."""

    @property
    def target(self) -> int:
        """The position of the label among the network's outputs."""
        return CLASSES.index(self.label)

    def read(self) -> bytes:
        """The file's bytes, once their digest is seen to be the index's."""
        data = self.path.read_bytes()
        if hashlib.sha256(data).hexdigest() != self.sha256:
            raise DataUnreadable(f"{self.path.name} is not the file that groups.csv describes")
        return data


def silent(what: str, done: int, total: int) -> None:
    """A `Report` for whoever does not want to hear."""


def read_index(root: Path, groups: Path | None = None, *, report: Report = silent) -> list[Example]:
    """Every labelled picture under `root`, with its slide and its sitting.

    Slides come from the CSV at `groups`, else from `root/groups.csv`: columns `file`, `class` and
    `group`, and where known `session` (the group when left out) and `sha256`; the CSV's rows, in
    their order, are the answer, and every listed file must exist. With no CSV at all, every
    picture found is listed by class and file name, and its slide is inferred
    (`ml.data.groups.infer`; minutes for thousands of pictures).
    Raises `DataUnreadable` when the folder or the CSV is not as described.
    """
    index = groups or root / INDEX
    if groups is not None and not groups.is_file():
        raise DataUnreadable(f"{groups} is no file: give a CSV of file,class,group")
    if index.is_file():
        return list(_listed(index, _originals(root), _folders(root, "segmented"), report))
    from ml.data.groups import infer  # noqa: PLC0415 - it reads pictures; an index alone need not

    return infer(found_in(root, report=report), report=report)


def found_in(root: Path, *, report: Report = silent) -> list[Example]:
    """Every picture under `root`, whatever a CSV says, with `group` and `session` left empty."""
    return list(_found(_originals(root), _folders(root, "segmented"), report))


def class_of(folder: str) -> Class | None:
    """The class that a folder is named for, or None: `Pre`, `PRO`, `[Malignant] early Pre-B`."""
    words = re.findall(r"[a-z]+", re.sub(r"\[.*?\]", "", folder.lower()))
    return next((_WORDS[word] for word in words if word in _WORDS), None)


def _originals(root: Path) -> dict[Class, Path]:
    found = _folders(root, "original")
    if not found:
        raise DataUnreadable(
            f"{root} holds no class folders (Original/Benign, Early, Pre, Pro) and no {INDEX}: "
            "is it the folder that holds Original and Segmented?"
        )
    return found


def _folders(root: Path, kind: str) -> dict[Class, Path]:
    """The class folders under `root/<kind>`, in any spelling; originals may lie in `root` too."""
    inside = [child for child in _children(root) if child.name.lower() == kind]
    places = inside or ([root] if kind == "original" else [])
    found: dict[Class, Path] = {}
    for child in (child for place in places for child in _children(place)):
        label = class_of(child.name)
        if label is None:
            continue
        if label in found:
            raise DataUnreadable(f"{found[label]} and {child} both stand for {label}: keep one")
        found[label] = child
    return found


def _children(folder: Path) -> list[Path]:
    return sorted(child for child in folder.iterdir() if child.is_dir()) if folder.is_dir() else []


def _listed(
    index: Path, originals: Mapping[Class, Path], twins: Mapping[Class, Path], report: Report
) -> Iterator[Example]:
    with index.open(newline="", encoding="utf-8-sig") as lines:
        rows = list(csv.DictReader(lines))
    lacking = _NEEDED - set(rows[0] if rows else ())
    if lacking:
        raise DataUnreadable(f"{index} lacks {', '.join(sorted(lacking))}")
    paths = [_path(index, row, originals) for row in rows]
    missing = [path.name for _, path in paths if not path.is_file()]
    if missing:
        raise DataUnreadable(f"{len(missing)} listed pictures are missing, first {missing[0]}")
    for row, (label, path) in zip(rows, paths, strict=True):
        yield Example(
            path=path,
            label=label,
            group=row["group"],
            session=row.get("session") or row["group"],
            sha256=row.get("sha256") or _digest(path),
            segmented=_twin(twins.get(label), path),
        )
    report("reading the index", len(rows), len(rows))


def _path(
    index: Path, row: Mapping[str, str], originals: Mapping[Class, Path]
) -> tuple[Class, Path]:
    label = class_of(row["class"])
    if label is None or label not in originals:
        raise DataUnreadable(f"{index} names class {row['class']!r}, and there is no such folder")
    return label, originals[label] / row["file"]


def _found(
    originals: Mapping[Class, Path], twins: Mapping[Class, Path], report: Report
) -> Iterator[Example]:
    paths = [
        (label, path)
        for label in CLASSES
        if label in originals
        for path in sorted(originals[label].iterdir())
        if path.suffix.lower() in SUFFIXES
    ]
    if not paths:
        raise DataUnreadable("the class folders are empty: no picture was found")
    for done, (label, path) in enumerate(paths, start=1):
        yield Example(
            path=path,
            label=label,
            group="",
            session="",
            sha256=_digest(path),
            segmented=_twin(twins.get(label), path),
        )
        report("reading the files", done, len(paths))


def _twin(folder: Path | None, path: Path) -> Path | None:
    twin = folder / path.name if folder else None
    return twin if twin and twin.is_file() else None


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
