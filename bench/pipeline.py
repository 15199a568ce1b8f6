"""The whole way of a picture, through a real stack: how long it takes, and how many a second.

Idle: pictures one at a time; the clock starts when the 201 has been read and stops when the event
arrives that leads to the finished result. Sustained: the analyses worker is held still
(SIGSTOP) while pictures are uploaded, then let go; pictures a second from the first claim to the
last result, against the same engine alone in this run, measured in turns with it. Under load:
arrivals at random moments (Poisson) at 80 % of what the machine takes in and analyses, both on the
same cores: of the backlog's pictures over the seconds that it took to upload and to drain it.
"""

import asyncio
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from bench import pictures, rounds, traffic
from bench.contender import Contender, lay_out
from bench.stack import Stack, running

PRODUCT = "product"  # the engine that the worker chooses for itself
ALONE = (1, 8, 32)  # its batches, of which the best is held against the pipeline
A_SLIDE = 4  # pictures of one specimen in the backlog
LOAD = 0.8
PATIENCE = 300.0
Say = Callable[[str], None]


def measure(
    report: Say,
    *,
    configuration: str = "embedded",
    quick: bool = False,
    images: Path | None = None,
) -> dict[str, Any]:
    """Latencies in milliseconds, pictures a second, CPU a picture and memory by process."""
    files, whose = pictures.chosen(images)
    supply = traffic.endless(files)
    with _engine(files) as engine, running(configuration, report) as stack:
        memory = {"start": stack.memory()}
        idle = asyncio.run(_idle(stack, list(islice(supply, 8 if quick else 50)), report))
        drained = [
            _in_turns(stack, engine, list(islice(supply, 32 if quick else 320)), report)
            for _ in range(1 if quick else 3)
        ]
        sustained = rounds.spread([one["per_second"] for one in drained])
        rate = LOAD * rounds.spread([one["both_per_second"] for one in drained])["median"]
        load = asyncio.run(_loaded(stack, rate, 5 if quick else 30, supply, report))
        memory["end"] = stack.memory()
    return {
        "pictures": whose,
        "configuration": configuration,
        "engine": engine.told,
        "engine_alone": {
            f"batch {batch}": rounds.spread([one["alone"][batch] for one in drained])
            for batch in ALONE
        },
        "inference_ms": 1000 / rounds.spread([one["alone"][1] for one in drained])["median"],
        "idle": rounds.latencies(idle),
        "sustained": sustained,
        "sustained_over_engine": rounds.ratios(
            [one["per_second"] for one in drained], [max(one["alone"].values()) for one in drained]
        ),
        "cpu_ms": {"upload": drained[-1]["upload_cpu_ms"], "analysis": drained[-1]["cpu_ms"]},
        "load": load,
        "memory_mib": memory,
    }


@contextmanager
def _engine(files: list[bytes]) -> Iterator[Contender]:
    """The product's engine alone, warm, in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="leukolens-engine-") as name:
        lay_out(files[: max(ALONE)], Path(name))
        engine = Contender(PRODUCT, Path(name))
        try:
            yield engine
        finally:
            engine.close()


async def _idle(stack: Stack, work: list[bytes], report: Say) -> list[float]:
    """Seconds from the 201 to the event of the result, one picture at a time."""
    report("one picture at a time")
    seconds = []
    labels = await asyncio.to_thread(stack.specimens, len(work))
    async with traffic.watching(stack.url, stack.hospital.watcher) as watch:
        for pair in zip(work, labels, strict=True):
            sent = await asyncio.to_thread(traffic.send, stack.url, stack.key, [pair], senders=1)
            seconds += await _waited(sent, watch)
    return seconds


async def _waited(sent: list[traffic.Sent], watch: traffic.Watch) -> list[float]:
    """From each 201 to the event of the result. Each picture is alone on its slide, so the last
    event of its report is the result's. Asks the database, not the web that is being timed."""
    reports = await asyncio.to_thread(_reports, [one.image for one in sent])
    await asyncio.sleep(0.2 if len(sent) == 1 else 1.0)  # the last events are on their way
    return [watch.arrivals[reports[one.image]][-1] - one.accepted for one in sent]


def _in_turns(stack: Stack, engine: Contender, work: list[bytes], report: Say) -> dict[str, Any]:
    """The engine alone, a backlog drained, the engine alone again: pictures a second."""
    before = {batch: _alone(engine, batch) for batch in ALONE}
    drained = _drain(stack, work, report)
    after = {batch: _alone(engine, batch) for batch in ALONE}
    alone = {batch: (before[batch] + after[batch]) / 2 for batch in ALONE}
    return {"alone": alone, **drained}


def _alone(engine: Contender, batch: int) -> float:
    once = engine.time("engine", batch, 1)
    return batch / engine.time("engine", batch, max(1, round(1.0 / once)))


def _drain(stack: Stack, work: list[bytes], report: Say) -> dict[str, Any]:
    """Upload all while the worker stands still, let it go, and read from the rows how it went."""
    from diagnostics.models import Analysis  # noqa: PLC0415

    report(f"a backlog of {len(work)} pictures")
    slides = stack.specimens(-(-len(work) // A_SLIDE))
    labels = [slide for slide in slides for _ in range(A_SLIDE)]
    worker, before = stack.pids["analyses"], stack.cpu()
    os.kill(worker, signal.SIGSTOP)
    began = time.monotonic()
    try:
        sent = traffic.send(stack.url, stack.key, list(zip(work, labels, strict=False)), senders=4)
        uploading, uploaded = time.monotonic() - began, stack.cpu()
    finally:
        os.kill(worker, signal.SIGCONT)
    rows = Analysis.objects.filter(image_id__in=[one.image for one in sent])
    _await_finished(rows, len(sent))
    ended = stack.cpu()
    times = list(rows.values_list("started_at", "finished_at"))
    took = (max(end for _, end in times) - min(start for start, _ in times)).total_seconds()
    return {
        "per_second": len(times) / took,
        "both_per_second": len(times) / (uploading + took),
        "upload_cpu_ms": _each(before, uploaded, len(sent)),
        "cpu_ms": _each(uploaded, ended, len(sent)),
    }


def _each(before: dict[str, float], after: dict[str, float], number: int) -> dict[str, float]:
    return {name: 1000 * (after[name] - before[name]) / number for name in before}


def _await_finished(rows: Any, number: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while (done := rows.filter(state="succeeded").count()) < number:
        if time.monotonic() > deadline or rows.filter(state="failed").exists():
            raise RuntimeError(f"only {done} of {number} pictures were analysed")
        time.sleep(0.05 if number == 1 else 0.5)


async def _loaded(
    stack: Stack, rate: float, seconds: float, supply: Iterator[bytes], report: Say
) -> dict[str, Any]:
    """Latencies while pictures arrive by chance, `rate` a second; one page listens."""
    moments = traffic.poisson(rate, seconds)
    report(f"{len(moments)} arrivals at random, {rate:.1f} a second")
    labels = await asyncio.to_thread(stack.specimens, len(moments))
    work = list(zip(supply, labels, strict=False))
    async with traffic.watching(stack.url, stack.hospital.watcher) as watch:
        sent = await asyncio.to_thread(traffic.send, stack.url, stack.key, work, moments=moments)
        waited = await _waited(sent, watch)
    late = [one.accepted - one.due for one in sent]
    return {
        "offered_per_second": rate,
        "seconds": seconds,
        "upload": rounds.latencies(late),
        **rounds.latencies(waited),
    }


def _reports(images: list[str]) -> dict[str, str]:
    """The report of each picture, once all are analysed."""
    from diagnostics.models import Analysis, FieldImage  # noqa: PLC0415

    _await_finished(Analysis.objects.filter(image_id__in=images), len(images))
    held = FieldImage.objects.filter(pk__in=images).select_related("specimen__report")
    return {str(image.pk): str(image.specimen.report.pk) for image in held}
