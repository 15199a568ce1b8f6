"""Verifying the trail: every entry, its seal, the order, and the end by what is kept outside."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import timezone

from hospital.audit import anchors, chain, sealing
from hospital.audit.erasure import ERASED, merged, ranges_hold
from hospital.audit.models import Entry, Seal

CHUNK = 2000
# How long an entry may wait for its seal before somebody should ask why.
PATIENCE_SECONDS = 600


@dataclass(frozen=True)
class Fault:
    """Something that is not as it was written.

    Attributes:
        position: its place in the chain; 0 for what has none.
        entry_id: the entry, if there is one.
    """

    position: int
    entry_id: int | None
    what: str

    def __str__(self) -> str:
        where = f"position {self.position}" if self.position else "outside the chain"
        return f"{where}, entry {self.entry_id}: {self.what}" if self.entry_id else self.what


@dataclass
class Verdict:
    """What a verification has found; `faults` are in the order of the chain."""

    sealed: int = 0
    erased: int = 0
    unsealed: int = 0
    anchors: int = 0
    anchored: int = 0
    faults: list[Fault] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults


def verify(*, anchor_file: Path | None = None, public_key: Path | None = None) -> Verdict:
    """Compute every digest again and compare. Reads the whole trail, in pieces.

    Args:
        anchor_file: a copy of the anchors that was kept elsewhere; else the installation's own.
        public_key: as `manage.py audit key` gave it; else the installation's own.
    """
    verdict = Verdict()
    marks = _anchored(verdict, anchor_file or Path(settings.AUDIT_ANCHOR_FILE), public_key)
    _follow(verdict, marks)
    for position, (digest, line) in sorted(marks.items()):
        if position > verdict.sealed:
            missing = f"the chain ends at {verdict.sealed}, line {line} of the anchors knows "
            verdict.faults.append(Fault(position, None, f"{missing}{position} ({digest[:16]})"))
    _waiting(verdict)
    return verdict


def _follow(verdict: Verdict, marks: dict[int, tuple[str, int]]) -> None:
    """Along the chain from its start. A broken link is named once, not at all that follow."""
    former, erased, allowed = chain.START, [], []
    for seal, entry in _links():
        verdict.sealed += 1
        if what := _wrong(seal, entry, former, expected=verdict.sealed):
            verdict.faults.append(Fault(seal.position, seal.entry_id, what))
            verdict.sealed = max(verdict.sealed, seal.position)
        elif entry is not None and not seal.salt:
            erased.append(seal)
        elif entry is not None and entry.action == ERASED:
            allowed += entry.detail.get("entries", [])
        mark = marks.get(seal.position)
        if mark and mark[0] != seal.digest:
            what = f"line {mark[1]} of the anchors has another digest: the chain was rewritten"
            verdict.faults.append(Fault(seal.position, seal.entry_id, what))
        former = seal.digest
    verdict.erased = len(erased)
    spoken_of = merged(allowed)
    for seal in erased:
        if not ranges_hold(spoken_of, seal.entry_id):
            what = "it was emptied, and no erasure in the chain speaks of it"
            verdict.faults.append(Fault(seal.position, seal.entry_id, what))
    verdict.faults.sort(key=lambda fault: fault.position)


def _wrong(seal: Seal, entry: Entry | str | None, former: str, *, expected: int) -> str:
    """What is wrong with one link; '' when nothing is."""
    if isinstance(entry, str):
        return f"it cannot be read: {entry}"
    if seal.position != expected:
        return f"its place should be {expected}: seals are missing or were moved"
    return "the entry is gone" if entry is None else _altered(seal, entry, former)


def _altered(seal: Seal, entry: Entry, former: str) -> str:
    if chain.digest_of(entry, seal, former) != seal.digest:
        return "its digest is not that of what stands there"
    if seal.salt and chain.told_by(entry, seal.salt) != seal.told:
        return "name or detail is not what was written"
    if not seal.salt and (entry.actor_name or entry.detail != {"erased": True}):
        return "it says that it was erased, and is not empty"
    return ""


def _links() -> Iterator[tuple[Seal, Any]]:
    """The seals in order, each with its entry, None, or a text that says why it cannot be read."""
    after = None
    while True:
        rows = Seal.objects.order_by("position")
        page = _read(rows if after is None else rows.filter(position__gt=after))
        if not page:
            return
        entries = _entries([seal.entry_id for seal in page])
        yield from ((seal, entries.get(seal.entry_id)) for seal in page)
        after = page[-1].position


def _read(rows: Any) -> list[Seal]:
    try:
        return list(rows[:CHUNK])
    except ValueError:  # a moment that is none; all else is text and numbers
        page = list(rows.defer("at")[:CHUNK])
        for seal in page:
            try:
                assert seal.at
            except ValueError:
                seal.__dict__["at"] = None
        return page


def _entries(ids: Sequence[int]) -> dict[int, Any]:
    try:
        return {entry.pk: entry for entry in Entry.objects.filter(pk__in=ids)}
    except (ValueError, TypeError):
        return dict(_one_by_one(ids))


def _one_by_one(ids: Iterable[int]) -> Iterator[tuple[int, Any]]:
    for pk in ids:
        try:
            found: Any = Entry.objects.filter(pk=pk).first()
        except (ValueError, TypeError) as error:
            found = str(error)
        if found is not None:
            yield pk, found


def _anchored(verdict: Verdict, path: Path, key_file: Path | None) -> dict[int, tuple[str, int]]:
    """The digests by position that were kept outside, each with the number of its line."""
    key = anchors.public_key(key_file)
    marks: dict[int, tuple[str, int]] = {}
    for number, line in anchors.kept(path):
        try:
            anchor = anchors.Anchor.of(line, key)
        except anchors.BadAnchor:
            what = f"line {number} of the anchors is not what this installation signed"
            verdict.faults.append(Fault(0, None, what))
            continue
        marks[anchor.position] = anchor.digest, number
        verdict.anchors += 1
        verdict.anchored = max(verdict.anchored, anchor.position)
    return marks


def _waiting(verdict: Verdict) -> None:
    """Entries without a seal: some always; old ones mean that nobody seals."""
    waiting = sealing.unsealed(deep=True)
    verdict.unsealed = waiting.count()
    oldest = waiting.order_by("at").values_list("pk", "at").first()
    if oldest and (timezone.now() - oldest[1]).total_seconds() > PATIENCE_SECONDS:
        what = "it has no seal, and should have had one long ago: is a housekeeping worker alive?"
        verdict.faults.append(Fault(0, oldest[0], what))
