"""The sender: brings the queue's pictures to the hospital, however long it takes.

A specimen's pictures go one after another, different specimens side by side. A picture is let go
of only when the hospital has named its digest.
"""

import logging
import sqlite3
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from threading import Event

from .client import ONCE, Microscope, Patience, Refused, Unreachable
from .fate import Fate, fate_of
from .line import LONGEST_WISH, Line
from .queue import Item, Queue, WrongState
from .stored import Unreadable, damage, reading
from .tus import NoTus, Pieces

log = logging.getLogger(__name__)

RETRIES = Patience(first=1.0, longest=600.0)
LARGE = 1_000_000
# A label may be registered after its picture was taken: 72 tries of ten minutes are 12 hours.
UNKNOWN_TRIES = 72
UNKNOWN_PAUSE = 600.0
# A virus scanner lets go of a file within minutes: 12 tries are about a quarter of an hour.
UNREADABLE_TRIES = 12
UNREADABLE = "unreadable_here"
NAP = 0.25


class Sender:
    """Sends what the queue holds. One at a time for a queue, in one process."""

    def __init__(
        self,
        queue: Queue,
        microscope: Microscope,
        *,
        workers: int = 4,
        patience: Patience = RETRIES,
        large: int = LARGE,
        unknown_tries: int = UNKNOWN_TRIES,
        unknown_pause: float = UNKNOWN_PAUSE,
        keep_delivered: Callable[[], bool] = lambda: False,
    ) -> None:
        """
        Args:
            microscope: the line. Each attempt is one request; waiting is done here.
            workers: how many specimens at once.
            patience: how long to wait between attempts; it never ends, whatever its `attempts`.
            large: pictures of more bytes go in pieces, if the hospital takes them so.
            unknown_tries: how often to try for an accession number that nobody knows.
            unknown_pause: seconds in between.
            keep_delivered: whether delivered pictures' bytes stay until the queue is swept.
        """
        self._queue = queue
        self._microscope = microscope
        self._workers = workers
        self._patience = patience
        self._large = large
        self._unknown_tries = unknown_tries
        self._unknown_pause = unknown_pause
        self._keep_delivered = keep_delivered
        self.line = Line(patience)

    def run(self, stop: Event) -> None:
        """Send until `stop` is set; then finish what is under way."""
        with ThreadPoolExecutor(self._workers, thread_name_prefix="send") as pool:
            under_way: dict[Future[None], Item] = {}
            while not stop.is_set():
                self._begin(pool, under_way)
                if under_way:
                    wait(under_way, timeout=NAP, return_when=FIRST_COMPLETED)
                else:
                    stop.wait(NAP)
                _forget_finished(under_way)

    def run_once(self) -> int:
        """Try everything that is due, each picture once; returns how many were tried.

        Stops early when the line breaks or the hospital does not let this microscope in.
        """
        tried: set[int] = set()
        with ThreadPoolExecutor(self._workers, thread_name_prefix="send") as pool:
            under_way: dict[Future[None], Item] = {}
            while self._begin(pool, under_way, but=tried) or under_way:
                wait(under_way, return_when=FIRST_COMPLETED)
                _forget_finished(under_way)
        return len(tried)

    def resume(self) -> None:
        """Try again at once: there is a new key, or the hospital lets the microscope in again."""
        self.line.reopen()
        self._queue.hurry()
        self._queue.note(stopped="")

    def _begin(
        self,
        pool: ThreadPoolExecutor,
        under_way: dict[Future[None], Item],
        *,
        but: set[int] | None = None,
    ) -> bool:
        """Begin as many attempts as there are free workers; returns whether there were any.

        Args:
            but: numbers of pictures that had their turn; those begun are added.
        """
        if self.line.closed_for:
            return False
        free = (1 if self.line.troubled else self._workers) - len(under_way)
        if free <= 0:
            return False
        busy = {item.accession for item in under_way.values()}
        had_theirs = set() if but is None else but
        due = self._queue.due(most=free + len(had_theirs), but=busy)
        fresh = [item for item in due if item.number not in had_theirs][:free]
        for item in fresh:
            if but is not None:
                but.add(item.number)
            under_way[pool.submit(self._attempt, item)] = item
        return bool(fresh)

    def _attempt(self, item: Item) -> None:
        """Try one picture once, and write down what came of it. Raises nothing."""
        began = self.line.now()
        try:
            self._try(item, began)
        except WrongState as error:
            log.warning("%s", error)
        except (OSError, sqlite3.Error) as error:
            # The queue's own disk. The row is as it was; nothing is lost by waiting.
            log.error("%s: %s", item.id, error)
            self.line.failed(began=began)
        except Exception:
            # One picture that nobody has thought of must not keep the others from going.
            log.exception("picture %s", item.id)
            self._postpone(item, "agent_error", "The agent failed; its log tells more.")

    def _try(self, item: Item, began: float) -> None:
        path = self._queue.path_of(item)
        pieces = Pieces(
            self._microscope, item, path, lambda at: self._queue.remember_upload(item, at)
        )
        try:
            if problem := damage(path, item):
                self._queue.refuse(item, code="damaged_here", detail=problem)
                return
            self._deliver(item, path, pieces)
        except Unreadable as error:
            self._unreadable(item, str(error))
            return
        except (Refused, Unreachable) as error:
            self._after(error, item, began, moved=pieces.moved)
            return
        self._queue.delivered(item, keep=self._keep_delivered())
        log.info("%s of %s is in the hospital", item.id, item.accession)
        self._answered()

    def _deliver(self, item: Item, path: Path, pieces: Pieces) -> None:
        """Bring it there. When this returns, the hospital has named these bytes as safe.

        Raises:
            Refused, Unreachable: it has not.
            Unreadable: this machine's disk does not give it.
        """
        if item.size > self._large:
            try:
                pieces.send()
            except NoTus:
                log.info("the hospital takes no pieces: %s goes whole", item.id)
            else:
                told = self._microscope.status(item.id, patience=ONCE)
                # A hospital that names no digest here names it in the receipt of the whole.
                if "sha256" in told:
                    _ensure_same(item, told)
                    return
        with reading(path):
            body = path.read_bytes()
        receipt = self._microscope.send(
            body,
            accession=item.accession,
            image_id=item.id,
            captured_at=item.captured_at,
            patience=ONCE,
        )
        _ensure_same(
            item,
            {"id": receipt.id, "sha256": receipt.sha256, "accession": receipt.accession},
        )

    def _after(
        self, error: Refused | Unreachable, item: Item, began: float, *, moved: bool
    ) -> None:
        """What an attempt that failed means for the picture and for the line."""
        code = error.code if isinstance(error, Refused) else "not_delivered"
        detail = error.detail if isinstance(error, Refused) else str(error)
        fate = fate_of(error)
        if fate is Fate.LATER:
            # Having come further, it need not wait as if it had not.
            attempts = 1 if moved else item.attempts + 1
            wish = error.wait if isinstance(error, Unreachable) else 0.0
            if not self.line.troubled:  # once, not for every attempt of an outage
                log.warning("not delivered, and tried until it is: %s: %s", item.id, detail)
            self.line.failed(began=began, wish=wish)
            self._postpone(item, code, detail, attempts=attempts, wish=wish)
            return
        if fate is Fate.STOPPED:
            log.error("stopped: %s", error)
            self.line.stop(str(error))
            self._queue.note(stopped=str(error))
            return
        if fate is Fate.UNKNOWN and item.unknown + 1 < self._unknown_tries:
            self._queue.postpone(
                item,
                seconds=self._unknown_pause,
                attempts=item.attempts + 1,
                code=code,
                detail=detail,
                unknown=True,
            )
        else:
            log.warning("refused: %s of %s: %s", item.id, item.accession, error)
            self._queue.refuse(item, code=code, detail=detail)
        self._answered()

    def _unreadable(self, item: Item, detail: str) -> None:
        """It alone waits, however the line is; for ever it must not keep its specimen waiting."""
        log.error("%s: %s", item.id, detail)
        # Counted from the first time in a row: an outage has its attempts, too.
        attempts = item.attempts + 1 if item.code == UNREADABLE else 1
        if attempts < UNREADABLE_TRIES:
            self._postpone(item, UNREADABLE, detail, attempts=attempts)
        else:
            self._queue.refuse(item, code=UNREADABLE, detail=detail)

    def _postpone(
        self,
        item: Item,
        code: str,
        detail: str,
        *,
        attempts: int | None = None,
        wish: float = 0.0,
    ) -> None:
        attempts = attempts or item.attempts + 1
        pause = self._patience.pause(attempts - 1, min(wish, LONGEST_WISH))
        self._queue.postpone(item, seconds=pause, attempts=attempts, code=code, detail=detail)

    def _answered(self) -> None:
        if self.line.worked():
            # They waited because nobody answered, and now somebody does.
            self._queue.hurry()


def _ensure_same(item: Item, told: dict[str, object]) -> None:
    """Raise unless the hospital speaks of this picture, these bytes and this specimen."""
    ours = (str(item.id), item.sha256, item.accession)
    theirs = (str(told.get("id")), told.get("sha256"), told.get("accession"))
    if ours != theirs:
        raise Unreachable("The hospital's receipt speaks of another picture. This one is kept.")


def _forget_finished(under_way: dict[Future[None], Item]) -> None:
    for future in [future for future in under_way if future.done()]:
        del under_way[future]
