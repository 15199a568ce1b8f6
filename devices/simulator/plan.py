"""What a fleet is asked to do: by flags, or by a file in TOML or JSON."""

import json
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from .faults import Faults

KEY_VARIABLE = "LEUKOLENS_DEVICE_KEY"


class BadPlan(Exception):
    """The plan cannot be carried out; the message says why."""


@dataclass(frozen=True, slots=True)
class MicroscopePlan:
    """One microscope.

    Attributes:
        accessions: the specimens that it photographs, in turns.
        pictures: a folder of them; None: drawn smears.
        count: how many it takes; None: until the time is over, or each of the folder once.
        per_minute: how many a minute; 0: as fast as it can.
    """

    name: str
    key: str = field(repr=False)
    accessions: tuple[str, ...]
    pictures: Path | None = None
    count: int | None = None
    per_minute: float = 0.0

    def __post_init__(self) -> None:
        if not self.key:
            raise BadPlan(f"{self.name} has no key.")
        if not self.accessions:
            raise BadPlan(f"{self.name} has no accession number.")
        if not self.name or not self.name.replace("-", "").replace("_", "").isalnum():
            raise BadPlan(f"'{self.name}' is no name: letters, digits, dash, underscore.")


@dataclass(frozen=True, slots=True)
class FleetPlan:
    """All of them, and what they have in common.

    Attributes:
        seed: the same gives the same pictures, specimens and faults at the bench again.
        duration: seconds after which nothing more is taken; None: by count.
        pace: bytes a second of a slow line.
        too_large: bytes of a picture that the hospital must call too large.
        large: pictures of more bytes go in pieces.
        first_wait, longest_wait: seconds between attempts, as `devices.agent.client.Patience`.
        smears: how many different ones are drawn, when they are.
        patience: seconds without any progress after which the fleet gives up waiting.
    """

    url: str
    microscopes: tuple[MicroscopePlan, ...]
    faults: Faults = field(default_factory=Faults)
    seed: int = 0
    duration: float | None = None
    pace: int = 20_000
    too_large: int = 31 * 1024 * 1024
    large: int = 1_000_000
    first_wait: float = 1.0
    longest_wait: float = 600.0
    smears: int = 48
    patience: float = 900.0

    def __post_init__(self) -> None:
        if not self.microscopes:
            raise BadPlan("There is no microscope: give a key, or a file with some.")
        names = [microscope.name for microscope in self.microscopes]
        if len(set(names)) != len(names):
            raise BadPlan("Two microscopes have the same name.")


def read_plan(path: Path, **changes: Any) -> FleetPlan:
    """The plan in a file.

    Args:
        changes: what was said otherwise, by the names of `FleetPlan`.

    Raises:
        BadPlan: it cannot be read, or asks for something that there is not.
    """
    try:
        text = path.read_text()
        told = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise BadPlan(f"{path}: {error}") from error
    told = {name.replace("-", "_"): value for name, value in told.items()}
    microscopes = told.pop("microscope", [])
    try:
        faults = Faults().changed(told.pop("faults", {}))
        _ensure_known(told, FleetPlan, path)
        return FleetPlan(
            **{
                "url": "http://127.0.0.1:8000",
                "faults": faults,
                "microscopes": tuple(
                    _microscope(one, number, path) for number, one in enumerate(microscopes, 1)
                ),
                **told,
                **changes,
            }
        )
    except (ValueError, TypeError) as error:
        raise BadPlan(f"{path}: {error}") from error


def read_keys(path: Path) -> list[tuple[str, str]]:
    """Names and keys of a file with a microscope a line: 'name key', or only 'key'.

    Raises:
        BadPlan: it cannot be read, or a line has more.
    """
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise BadPlan(f"{path}: {error}") from error
    found: list[tuple[str, str]] = []
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) > 2:
            raise BadPlan(f"{path}, line {number}: 'name key', or only 'key'.")
        found.append((words[0] if len(words) == 2 else f"microscope-{len(found) + 1}", words[-1]))
    return found


def dealt(keys: Sequence[tuple[str, str]], **same: Any) -> tuple[MicroscopePlan, ...]:
    """A microscope for each of `keys`, alike in everything else."""
    return tuple(MicroscopePlan(name, key, **same) for name, key in keys)


def _microscope(told: Mapping[str, Any], number: int, path: Path) -> MicroscopePlan:
    given = {name.replace("-", "_"): value for name, value in told.items()}
    given.setdefault("name", f"microscope-{number}")
    given["key"] = _key(given, path)
    _ensure_known(given, MicroscopePlan, path)
    if given.get("pictures"):
        # As seen from the file that names it.
        given["pictures"] = path.parent / given["pictures"]
    given["accessions"] = tuple(given.get("accessions", ()))
    return MicroscopePlan(**given)


def _key(given: dict[str, Any], path: Path) -> str:
    """The key that is written there, in a file of its own, or in the environment."""
    file, variable = str(given.pop("key_file", "")), str(given.pop("key_env", ""))
    if file:
        try:
            return (path.parent / file).read_text().strip()
        except OSError as error:
            raise BadPlan(f"{given['name']}: {error}") from error
    return str(given.get("key") or os.environ.get(variable or KEY_VARIABLE, ""))


def _ensure_known(given: Mapping[str, Any], kind: type, path: Path) -> None:
    known = {one.name for one in fields(kind)}
    if unknown := sorted(given.keys() - known):
        raise BadPlan(f"{path}: there is no '{unknown[0]}'; there are: {', '.join(sorted(known))}")
