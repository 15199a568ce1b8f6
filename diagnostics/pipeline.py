"""The worker's line: claim a batch, prepare its pictures, ask the model, store what it says.

Three batches are in hand at most: while the engine reads one, the next is claimed, decoded and
segmented, and the one before is stored. What is ready of the next goes to the engine in portions,
so that it has no pause between two batches. All that touches the database happens in the thread
that called `drain`; the others only work on pictures. A picture that comes alone goes straight
through: nothing ever waits for company.

Only a worker process runs this; it is the only place where the model is loaded.
"""

import logging
import os
import socket
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from threading import Event, get_native_id

from django.conf import settings
from django.db import InterfaceError, OperationalError

from diagnostics import readers
from diagnostics.leases import Keeper
from diagnostics.models import Analysis, Outcome, Priority
from diagnostics.services import analyses, bell, drawing, packages
from diagnostics.services.results import REJECTING, Found, succeed_all
from hospital.base import files
from ml import guarded, images, outlines
from ml.preprocessing import Prepared, open_picture
from ml.reading import Reader, Reading

log = logging.getLogger(__name__)

# How many decoded pixels a batch may hold: about as many bytes times seven, three times over.
MOST_PIXELS = 16_000_000
# A pass begins with so many and takes twice as many each time, so that the engine soon has
# something to read, and never waits for more to be prepared than it reads meanwhile.
FIRST = 8
# Preparing is a fraction of reading on a CPU; a machine with a GPU has the cores to keep it fed.
# One hand alone, beside an engine that keeps every core busy, has it wait for each batch.
PREPARERS = max(2, (os.cpu_count() or 1) // 4)
# Portions that are asked at once: one is read, and the next waits for a core that has nothing left.
ASKED = 2

# The store is away: the run is no worse for it, and the store is not asked again at once.
LATER = "later"
# The worker was told to stop before the engine was asked.
BACK = "back"
STORE_PAUSE_SECONDS = 1.0
# The database ended one of two transactions that waited for each other (SQLSTATE): begin anew.
BEGIN_ANEW = frozenset({"40001", "40P01"})
BEGUN_ANEW = 2  # times

_stopping = Event()


def reader() -> Reader:
    """The model in use, verified against its digest; loaded when first wanted, and anew when
    another package is put to use."""
    return readers.own()


def stop() -> None:
    """Let `drain` end after the batch in hand: the worker is told to stop."""
    _stopping.set()


def stopping() -> bool:
    """Whether this process was told to stop."""
    return _stopping.is_set()


def drain(*, model: Reader | None = None, live: bool = True) -> int:
    """Work until nothing is queued or the worker stops; return how many runs were finished.

    Args:
        model: to read with, instead of this process's `reader`.
        live: False takes background runs only: a process beside the hospital's workers.
    """
    if model:
        return _pass(model, live=live)
    finished = 0
    while True:
        # Before claiming: a model that takes its time to load must not eat the lease.
        chosen, model = _chosen(), reader()
        finished += _pass(model, live=live, still=partial(_is_chosen, chosen))
        if stopping():
            return finished
        if _is_chosen(chosen):
            aside = _read_along()
            finished += aside
            if not aside:
                return finished


def _chosen() -> str:
    """The digest of the package in use, '' for the one of the settings."""
    package = packages.in_use()
    return package.digest if package else ""


def _is_chosen(digest: str) -> bool:
    return _chosen() == digest


def _read_along() -> int:
    """Let the package that reads along read a few: a live picture waits for no more than those."""
    model = readers.shadow()
    return _pass(model, live=False, once=True) if model else 0


def _pass(
    model: Reader,
    *,
    live: bool,
    once: bool = False,
    still: Callable[[], bool] = lambda: True,
) -> int:
    """Read with `model` what there is, or `once` one small batch, while it is `still` the one."""
    with (
        Keeper() as keeper,
        ThreadPoolExecutor(PREPARERS, "prepare") as hands,
        ThreadPoolExecutor(ASKED, "engine") as engine,
    ):
        return Line(model, keeper, hands, engine, live=live, once=once, still=still).run()


@dataclass(frozen=True, slots=True)
class Batch:
    """Runs that are read together, and their pictures on the way to being prepared."""

    runs: Sequence[Analysis]
    pictures: Sequence["Future[Prepared | str]"]
    answers: list["Future[Answers]"] = field(default_factory=list)  # by portion, once begun

    @property
    def urgent(self) -> bool:
        """Whether somebody waits for it."""
        return _is_live(self.runs[0])


# What became of each run: what the model says, or a code of `analyses.FAILURES`, or LATER.
Answers = list[tuple[Analysis, Reading | str]]


class Line:
    """One pass over the queue."""

    def __init__(
        self,
        model: Reader,
        keeper: Keeper,
        hands: ThreadPoolExecutor,
        engine: ThreadPoolExecutor,
        *,
        live: bool,
        once: bool = False,
        still: Callable[[], bool] = lambda: True,
    ) -> None:
        self._model = model
        self._keeper = keeper
        self._hands = hands
        self._engine = engine
        self._live = live
        # A live picture may have to wait for a background batch; where none comes, it may be big.
        small = live or once
        self._background = settings.ANALYSIS_BACKGROUND_BATCH if small else settings.ANALYSIS_BATCH
        self._once, self._claims = once, 0
        self._fill = min(FIRST, settings.ANALYSIS_BATCH)
        self._still = still
        self._claimed: list[Analysis] = []
        self._suspect = False  # what was claimed last has cost a worker its life
        # Threads share a process id, and two drains must be told apart.
        self._worker = f"{socket.gethostname()}:{os.getpid()}:{get_native_id()}"

    def run(self) -> int:
        """Until nothing waits."""
        finished = 0
        ready, done = self._next(), None
        while ready or done:
            now, ready = self._overtaken(ready)
            self._begin(now)
            if now:  # else nothing waited a moment ago, and somebody waits for what is done
                ready = ready or self._next()
            if ready and ready.urgent:  # what nothing may overtake any more
                self._begin(ready)
            if done:
                finished += self._store(done)
            done = [one for portion in now.answers for one in portion.result()] if now else None
            if not (ready or done):
                ready = self._next()  # what is only given to empty hands
        self._give_back(self._claimed)
        return finished

    def _overtaken(self, ready: Batch | None) -> tuple[Batch | None, Batch | None]:
        """What is read now, and what after it: somebody's picture passes the archive's."""
        if ready and not ready.urgent and (urgent := self._next(background=False)):
            return urgent, ready
        return ready, None

    def _next(self, *, background: bool = True) -> Batch | None:
        """Claim a batch and set the hands on preparing it; None when nothing waits."""
        if stopping():
            return None
        if self._may_claim() and (
            not self._claimed or (self._live and not _is_live(self._claimed[0]))
        ):
            limit, self._fill = self._fill, min(2 * self._fill, settings.ANALYSIS_BATCH)
            self._claims += 1
            rows = analyses.claim(
                worker=self._worker,
                limit=limit,
                package=self._model.package.digest,
                background=self._background if background and not self._claimed else 0,
                live=self._live,
                alone=not self._keeper.holds,
            )
            self._suspect = bool(rows) and rows[0].attempts > 1
            self._keeper.hold(rows)
            self._claimed[:0] = rows
            if len(rows) == limit and _is_live(rows[0]):
                bell.ring()  # more may wait than one worker takes: wake another, who does the same
        if not self._claimed or not (background or _is_live(self._claimed[0])):
            return None
        runs = self._claimed[: _fitting(self._claimed)]
        self._claimed = self._claimed[len(runs) :]
        prepare = partial(_prepare, self._model)
        return Batch(runs, [self._hands.submit(prepare, run) for run in runs])

    def _may_claim(self) -> bool:
        """Whether more may be taken: not after the one batch, not beside what may kill this
        worker, not when another model is chosen."""
        if (self._once and self._claims) or (self._suspect and self._keeper.holds):
            return False
        return self._still()

    def _give_back(self, rows: Sequence[Analysis]) -> None:
        """Queue again what was claimed and not begun."""
        if rows:
            analyses.give_back(rows)
            self._keeper.release(rows)

    def _begin(self, batch: Batch | None) -> None:
        """Have the engine asked as soon as there is a portion for it."""
        if batch is None or batch.answers:
            return
        for at in range(0, len(batch.runs), self._model.batch):
            portion = slice(at, at + self._model.batch)
            asking = self._engine.submit(self._read, batch.runs[portion], batch.pictures[portion])
            batch.answers.append(asking)

    def _read(
        self, runs: Sequence[Analysis], preparing: Sequence["Future[Prepared | str]"]
    ) -> Answers:
        """Ask the model. In one of the engine's threads."""
        pictures = [picture.result() for picture in preparing]
        if stopping():
            return [(run, BACK) for run in runs]
        good = [picture for picture in pictures if not isinstance(picture, str)]
        try:
            answers: list[Reading | str] = list(self._ask(good))
        except Exception:
            log.exception("a batch of %d failed; trying its pictures one by one", len(good))
            answers = [self._ask_alone(picture) for picture in good]
        said = iter(answers)
        outcomes = [p if isinstance(p, str) else next(said) for p in pictures]
        return list(zip(runs, outcomes, strict=True))

    def _ask(self, pictures: Sequence[Prepared]) -> list[Reading]:
        return self._model.classify(pictures) if pictures else []

    def _ask_alone(self, picture: Prepared) -> Reading | str:
        """By itself, so that a poisonous neighbour costs the others nothing."""
        try:
            return self._ask([picture])[0]
        except Exception:
            log.exception("a picture cannot be read")
            return "internal"

    def _store(self, answers: Answers) -> int:
        """Store what the model said; returns how many runs were finished by it."""
        found = [self._found(run, said) for run, said in answers if not isinstance(said, str)]
        try:
            finished = _stored(found)
        except (OperationalError, InterfaceError):
            raise  # the database is away: no fault of any picture, and the leases will run out
        except Exception:
            log.exception("a batch of %d was not stored; trying one by one", len(found))
            finished = sum(_store_alone(one) for one in found)
        later, back = ([run for run, said in answers if said == code] for code in (LATER, BACK))
        for run, said in answers:
            if isinstance(said, str) and said not in (LATER, BACK):
                log.error("analysis %s: %s", run.pk, said)
                finished += analyses.fail(run, code=said)
        self._give_back(back)
        if later:
            analyses.postpone(later)
            time.sleep(STORE_PAUSE_SECONDS)
        self._keeper.release([run for run, _ in answers])
        return finished

    def _found(self, run: Analysis, said: Reading) -> Found:
        outcome = Outcome(said.outcome)
        return Found(
            analysis=run,
            outcome=outcome,
            rejection=(said.quality.code or outcome.value) if outcome in REJECTING else "",
            outlines=outlines.pack(said.segmentation),
            result={
                "package_name": self._model.package.name,
                "package_digest": self._model.package.digest,
                "engine": self._model.engine,
                "preprocessing": self._model.preprocessing,
                "label": said.label or "",
                "probabilities": said.probabilities,
                "familiarity": said.familiarity,
                "quality": said.quality.as_dict(),
                "cell_count": len(said.segmentation.cells),
                "area_share": said.segmentation.area_share,
                **drawing.keys_for(run.pk),
            },
        )


def _is_live(run: Analysis) -> bool:
    return run.priority == Priority.LIVE


def _fitting(runs: Sequence[Analysis]) -> int:
    """How many of the first runs fit in memory together, of one priority; at least one."""
    pixels = 0
    for count, run in enumerate(runs):
        pixels += run.image.width * run.image.height
        if count and (pixels > MOST_PIXELS or run.priority != runs[0].priority):
            return count
    return len(runs)


def _prepare(model: Reader, run: Analysis) -> Prepared | str:
    """The picture ready for the network, or why there is none."""
    try:
        body = files.read(run.image.storage_key)
    except FileNotFoundError:
        return "file_missing"
    except OSError as error:
        log.warning("analysis %s waits for the store: %s", run.pk, error)
        return LATER
    try:
        if run.attempts > 1:  # it may have cost a worker its life: another process goes first
            guarded.survives(body)
        return model.prepare(open_picture(body))
    except images.ImageRefused:
        return "undecodable"
    except guarded.NoGuard as error:
        log.warning("analysis %s waits for a process: %s", run.pk, error)
        return LATER
    except Exception:
        log.exception("analysis %s: the picture cannot be prepared", run.pk)
        return "internal"


def _stored(found: Sequence[Found]) -> int:
    """Store them in one transaction, which is begun anew when another was in its way."""
    for _ in range(BEGUN_ANEW):
        try:
            return succeed_all(found)
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", None) not in BEGIN_ANEW:
                raise
            log.warning("a batch of %d is stored anew: %s", len(found), error)
    return succeed_all(found)


def _store_alone(one: Found) -> bool:
    """One result by itself, so that one that cannot be stored costs the others nothing."""
    try:
        return bool(_stored([one]))
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        log.exception("the result of analysis %s cannot be stored", one.analysis.pk)
        return analyses.fail(one.analysis, code="internal")
