"""What a report tells of one way of judging, and the folder in which experiments leave it.

protocols.json          title, about, protocols (in the report's order), others
<name>.csv              predictions of the protocol `name` (`predictions`)
<name>.history.json     {run: [one row an epoch]}, where training is to be shown
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ml.evaluation import predictions
from ml.evaluation.predictions import Predictions

INDEX = "protocols.json"
PAPER = ("accuracy", "precision", "recall", "specificity", "f1")
NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
OPTIONAL = ("leaks", "fold_word", "paper", "paper_source")


class SectionsUnreadable(Exception):
    """The folder is not what an experiment leaves behind; the message says what to mend."""


@dataclass(frozen=True, slots=True)
class Section:
    """One way of judging, and what came of it.

    `name` is a short word for file names, `title` a few words, `explanation` a sentence or two
    that a haematologist understands. `leaks` says why the figures flatter, None where they do
    not. `fold_word` is what a fold is here ("fold", "seed", "sitting"). `paper` holds published
    figures, 0..1, under the keys of `PAPER`; `paper_source` says which row of which table.
    """

    name: str
    title: str
    explanation: str
    predictions: Predictions
    leaks: str | None = None
    fold_word: str = "fold"
    histories: Mapping[str, Sequence[Mapping[str, float]]] = field(default_factory=dict)
    paper: Mapping[str, float] = field(default_factory=dict)
    paper_source: str = "Islam et al., Sensors 2024"

    def __post_init__(self) -> None:
        """Raise `SectionsUnreadable` for what no report could show."""
        for name in (self.name, *self.histories):  # they become names of files
            if not NAME.fullmatch(name):
                raise SectionsUnreadable(f"{name!r}: a name is made of a-z, 0-9 and -")
        for key, share in self.paper.items():
            if key not in PAPER or not 0 <= share <= 1:
                raise SectionsUnreadable(
                    f"{self.name}: published figures are shares 0..1 of {', '.join(PAPER)}, "
                    f"not {key} = {share}"
                )


@dataclass(frozen=True, slots=True)
class Study:
    """Everything one report is made of. `others`: accuracy 0..1 that others published."""

    title: str
    sections: Sequence[Section]
    about: str = ""
    others: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raise `SectionsUnreadable` where two sections would overwrite each other."""
        names = [section.name for section in self.sections]
        if len(set(names)) < len(names):
            raise SectionsUnreadable(f"two protocols bear one name: {', '.join(sorted(names))}")


def write(folder: Path, study: Study) -> None:
    """Leave `study` in `folder`, tiny and complete: `read` gives it again."""
    folder.mkdir(parents=True, exist_ok=True)
    protocols = []
    for section in study.sections:
        predictions.write(folder / f"{section.name}.csv", section.predictions)
        if section.histories:
            _history(folder, section.name).write_text(json.dumps(section.histories) + "\n")
        keys = ("name", "title", "explanation", *OPTIONAL)
        protocols.append({key: getattr(section, key) for key in keys})
    index = {"title": study.title, "about": study.about, "protocols": protocols}
    (folder / INDEX).write_text(json.dumps({**index, "others": study.others}, indent=1) + "\n")


def read(folder: Path) -> Study:
    """The study in `folder`. Raises `SectionsUnreadable` or `PredictionsUnreadable`."""
    index = _json(folder / INDEX)
    if not isinstance(index, dict) or not index.get("protocols"):
        raise SectionsUnreadable(f"{INDEX} names no protocols")
    try:
        return Study(
            title=index["title"],
            sections=[_section(folder, row) for row in index["protocols"]],
            about=index.get("about", ""),
            others=index.get("others", {}),
        )
    except KeyError as error:
        raise SectionsUnreadable(f"{INDEX} lacks {error.args[0]!r}") from error


def _section(folder: Path, row: Mapping[str, Any]) -> Section:
    history = _history(folder, row["name"])
    return Section(
        name=row["name"],
        title=row["title"],
        explanation=row["explanation"],
        predictions=predictions.read(folder / f"{row['name']}.csv"),
        histories=_json(history) if history.is_file() else {},
        **{key: row[key] for key in OPTIONAL if key in row},
    )


def _history(folder: Path, name: str) -> Path:
    return folder / f"{name}.history.json"


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SectionsUnreadable(f"{path.name} is not in {path.parent}") from error
    except ValueError as error:
        raise SectionsUnreadable(f"{path.name} is no JSON: {error}") from error
