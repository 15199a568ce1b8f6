"""The audit in sentences, for whoever reads no tables; the gravest first."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ml.data.audit import Audit
from ml.data.drawings import percent
from ml.data.marks import Mark
from ml.data.shortcuts import from_marks, guessing
from ml.data.twins import Kind

Tone = Literal["bad", "warn", "fine"]
_ORDER: tuple[Tone, ...] = ("bad", "warn", "fine")
CLEARLY = 0.05  # accuracy above guessing that is called more than luck


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to know, and how bad it is."""

    tone: Tone
    headline: str
    detail: str


def findings(audit: Audit) -> list[Finding]:
    """What a reader must know, the gravest first."""
    parts = (_labels, _leak, _strangers, _background, _corner, _copies)
    found = [finding for part in parts for finding in part(audit)]
    return sorted(found, key=lambda finding: _ORDER.index(finding.tone))


def _labels(audit: Audit) -> Iterator[Finding]:
    if audit.crossing:
        yield Finding(
            "bad",
            f"{len(audit.crossing)} pairs of pictures show the same cells under two classes.",
            "One label of each pair must be wrong. They are shown below.",
        )


def _leak(audit: Audit) -> Iterator[Finding]:
    way = next((words for words in audit.leaks if words.startswith("by picture")), None)
    if way is None:
        return
    leak = audit.leaks[way]
    yield Finding(
        "bad" if leak.field or leak.group else "fine",
        f"Split picture by picture, {percent(leak.field)} of the test pictures show cells that "
        "were also taught.",
        f"{percent(leak.group)} come from a slide that was also taught. A figure from such a "
        "split, however near to 100 %, says little about the next patient: split by slide instead.",
    )


def _strangers(audit: Audit) -> Iterator[Finding]:
    if audit.strangers:
        yield Finding(
            "warn",
            f"{len(audit.strangers)} pairs show the same field, but are on record as two slides.",
            "Even a split by slide lets these through. Join the slides that share a field "
            "(ml.data.groups.join_twins) where it matters.",
        )


def _background(audit: Audit) -> Iterator[Finding]:
    reached = {one.by: one.accuracy for one in audit.shortcuts if one.what == "background"}
    if not reached:
        return
    floor, best = guessing(audit.examples), max(reached.values())
    words = {"image": "picture", "group": "slide", "session": "sitting"}
    told = ", ".join(f"{percent(value)} split by {words[by]}" for by, value in reached.items())
    grave = best > floor + CLEARLY
    yield Finding(
        "bad" if grave else "fine",
        f"Without seeing one white cell, a plain classifier names the class rightly in "
        f"{percent(best)} of pictures."
        if grave
        else "The background alone does not give the class away.",
        f"From the background alone: {told}; always naming the commonest class gives "
        f"{percent(floor)}. Glass, lamp and red cells give the class away"
        + (
            ", so a model's accuracy must be shown without them."
            if grave
            else " no more than luck."
        ),
    )


def _corner(audit: Audit) -> Iterator[Finding]:
    looks = len(set(audit.seen.marks) - {Mark.NONE})
    known, floor = from_marks(audit.seen), guessing(audit.examples)
    if not looks:
        yield Finding("fine", "No scale bars are burnt into the corners.", "")
        return
    grave = known > floor + CLEARLY
    yield Finding(
        "bad" if grave else "warn",
        f"Scale bars are burnt in, and their look {'goes' if grave else 'does not go'} with the "
        "class.",
        f"Number of looks: {looks}. Who knows only which of them a picture has names the class "
        f"rightly in {percent(known)}, against {percent(floor)} by always naming the commonest. "
        "Blank the corner, as Leukolens does.",
    )


def _copies(audit: Audit) -> Iterator[Finding]:
    twice = {at for pair in audit.twins for at in (pair.first, pair.second)}
    if not twice:
        yield Finding("fine", "No picture is there twice, and no fields overlap.", "")
        return
    counts = {kind: audit.count(kind) for kind in Kind}
    yield Finding(
        "warn",
        f"{len(twice):,} of {len(audit.examples):,} pictures show cells that another shows, too.",
        f"{counts[Kind.EXACT]} pairs are the very same file, {counts[Kind.NEAR]} the same field "
        f"again, {counts[Kind.OVERLAP]} overlap. They must stay on one side of every split.",
    )
