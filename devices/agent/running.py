"""The agent at work: watching, sending and heartbeats, each in a thread, ended together."""

import logging
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

import httpx

from .client import Microscope
from .home import Home
from .labels import Labels
from .page import Page
from .pulse import Pulse, keep_days_told, limits_told
from .queue import Queue
from .sender import LARGE, Sender
from .standing import standing_of
from .taking import HOPE, Taker
from .watch import EVERY, SETTLE, Watch

log = logging.getLogger(__name__)

SWEEP_EVERY = 3600.0
# For the lock: somebody may just be looking whether we run.
PATIENCE = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How the agent shall work. Times in seconds, sizes in bytes.

    Attributes:
        firmware: what the hospital is told that this is.
        done: where files go that have been taken; None: they are deleted.
        strict: set aside what is out of focus or badly lit, instead of sending it.
        page_port: of the status page; None: no page.
    """

    firmware: str
    labels: Labels = field(default_factory=Labels)
    done: Path | None = None
    strict: bool = False
    workers: int = 4
    large: int = LARGE
    settle: float = SETTLE
    every: float = EVERY
    hope: float = HOPE
    page_port: int | None = None


def run(
    home: Home,
    queue: Queue,
    folder: Path,
    options: Options,
    *,
    stop: Event,
    transport: httpx.BaseTransport | None = None,
) -> bool:
    """Work until `stop` is set; returns False when a part of it has failed.

    Raises:
        NotEnrolled, AlreadyRunning: it cannot begin.
    """
    known = home.credentials()
    with ExitStack() as stack:
        stack.enter_context(home.only_one(patience=PATIENCE))
        microscope = stack.enter_context(Microscope(known.server, known.key, transport=transport))
        # A new start is a new try: what stopped us may be mended.
        queue.note(stopped="", full="", folder_trouble="", firmware=options.firmware)
        sender = Sender(
            queue,
            microscope,
            workers=options.workers,
            large=options.large,
            keep_delivered=lambda: keep_days_told(queue) > 0,
        )
        pulse = Pulse(home, queue, sender, microscope, firmware=options.firmware)
        taker = Taker(
            queue,
            labels=options.labels,
            limits=lambda: limits_told(queue),
            strict=options.strict,
            done=options.done,
            hope=options.hope,
        )
        taker.tidy(folder)
        watch = Watch(
            folder,
            taker,
            queue,
            settle=options.settle,
            every=options.every,
            leave_out=options.done,
        )
        if options.page_port is not None:
            _show_page(home, queue, options.page_port, stack)
        log.info("watching %s for %s", folder, known.server)
        return _together(stop, sender.run, pulse.run, watch.run, lambda end: _sweep(queue, end))


def _show_page(home: Home, queue: Queue, port: int, stack: ExitStack) -> None:
    try:
        page = Page(lambda: standing_of(home, queue, running=True), port=port)
    except OSError as error:
        # Pictures come first.
        log.warning("there is no status page, its port %s is taken: %s", port, error)
        return
    stack.callback(page.close)
    log.info("status page: %s", page.url)


def _sweep(queue: Queue, stop: Event) -> None:
    """Clear away what is not needed any more, at the start and every hour."""
    while not stop.is_set():
        try:
            queue.sweep(keep_days=keep_days_told(queue))
        except (OSError, sqlite3.Error) as error:
            # Nothing depends on it but room; it is tried again.
            log.error("sweeping the queue: %s", error)
        stop.wait(SWEEP_EVERY)


def _together(stop: Event, *parts: Callable[[Event], None]) -> bool:
    """Run the parts until `stop` is set or one of them fails; returns whether none has."""
    failed: list[BaseException] = []

    def guarded(part: Callable[[Event], None]) -> None:
        try:
            part(stop)
        except BaseException as error:
            # Whoever started us starts us again; a half that works would hide the other.
            log.exception("a part of the agent failed")
            failed.append(error)
            stop.set()

    threads = [Thread(target=guarded, args=(part,)) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        # In steps: on Windows a signal is seen only between them.
        while thread.is_alive():
            thread.join(0.5)
    return not failed


@contextmanager
def stopping_on_signals() -> Iterator[Event]:
    """An event that Ctrl-C or the service manager sets."""
    stop = Event()
    previous = {
        number: signal.signal(number, lambda *_: stop.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def send_and_wait(home: Home, queue: Queue, until: Callable[[], bool], *, stop: Event) -> None:
    """Send the queue in this process until `until` says that it is enough.

    Raises:
        NotEnrolled, AlreadyRunning: it cannot begin.
    """
    known = home.credentials()
    with home.only_one(patience=PATIENCE), Microscope(known.server, known.key) as microscope:
        queue.note(stopped="")
        microscope.use_key(known.next_key or known.key)
        sender = Sender(queue, microscope)
        enough = Event()

        def watch(end: Event) -> None:
            while not end.is_set():
                if until() or sender.line.stopped or stop.is_set():
                    end.set()
                time.sleep(0.1)

        _together(enough, sender.run, watch)
