"""What does a picture cost before and after the network is asked?

    python -m bench.preprocessing [--rounds 5]

Milliseconds of CPU time on this machine, each stage by itself, for a field as in the Taleqani set
(224 x 224), one of a simple camera (640 x 480) and one of 12 megapixels. The pictures are
synthetic smears, so that it runs anywhere; OpenCV is held to one thread, as beside an engine.
"""

import argparse
import platform
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from ml import gallery, images, preprocessing, quality, segmentation
from ml.synthetic import smear

SIZES = ((224, 224), (640, 480), (4000, 3000))  # width, height
QUALITY = 88  # of the outlined picture, as the worker stores it


def measure(rounds: int = 5) -> dict[str, dict[str, float]]:
    """Median CPU milliseconds by size ('224 x 224') and stage; the sum 'open + prepare' too."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        return {f"{width} x {height}": _one(width, height, rounds) for width, height in SIZES}
    finally:
        cv2.setNumThreads(threads)


def _one(width: int, height: int, rounds: int) -> dict[str, float]:
    drawn = smear(seed=11, size=min(max(width, height), 900), blasts=12)
    full = cv2.resize(drawn, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8)
    stages = _stages(images.encode_jpeg(full))
    timed = {name: [_milliseconds(work) for _ in range(rounds)] for name, work in stages.items()}
    return {name: statistics.median(times) for name, times in timed.items()}


def _stages(data: bytes) -> dict[str, Callable[[], Any]]:
    """Each stage on the outcome of those before it, all made beforehand."""
    picture = preprocessing.open_picture(data)
    ready = preprocessing.prepare(picture)
    field, cells = preprocessing.blank_corner(picture), ready.segmentation
    alone, outlined = cells.isolate(picture), cells.outline(picture)
    return {
        "inspect": lambda: images.inspect(data),
        "open": lambda: preprocessing.open_picture(data),
        "judge": lambda: quality.judge(field),
        "segment": lambda: segmentation.segment(field),
        "blank corner": lambda: preprocessing.blank_corner(picture),
        "balance": lambda: preprocessing.balance(field),
        "shrink": lambda: preprocessing.shrink(ready.balanced),
        "gallery": lambda: gallery.gallery(ready.balanced, cells.mask, ready.spots),
        "open + prepare": lambda: preprocessing.prepare(preprocessing.open_picture(data)),
        "isolate, outline": lambda: (cells.isolate(picture), cells.outline(picture)),
        "encode PNG": lambda: images.encode_png(alone),
        "encode JPEG": lambda: images.encode_jpeg(outlined, quality=QUALITY),
        "thumbnail": lambda: images.encode_jpeg(images.thumbnail(picture, 160), quality=80),
    }


def _milliseconds(work: Callable[[], Any]) -> float:
    """CPU time of one call, by as many as take a twentieth of a second."""
    calls, began = 0, time.process_time()
    while (spent := time.process_time() - began) < 0.05 or not calls:
        work()
        calls += 1
    return 1000 * spent / calls


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="CPU time before and after the network.")
    parser.add_argument("--rounds", type=int, default=5, help="the median of so many is shown")
    found = measure(parser.parse_args().rounds)
    table = Table(title="Milliseconds of CPU time", title_justify="left")
    table.add_column("stage")
    for size in found:
        table.add_column(size, justify="right")
    for stage in next(iter(found.values())):
        table.add_row(stage, *(f"{times[stage]:.2f}" for times in found.values()))
    console = Console()
    console.print(table)
    console.print(
        f"{platform.machine()}, {platform.system()}, OpenCV {cv2.__version__}, one thread"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
