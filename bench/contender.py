"""One engine in a process of its own, that is told when to run: what `bench.engines` compares.

    python -m bench.contender NAME DIR    # orders as JSON lines on stdin, answers on stdout

A process each, so that its start and its memory are its own, and so that TensorFlow's threads and
OpenVINO's do not share one. While it waits for an order it does nothing.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from bench import machine

ROOT = Path(__file__).resolve().parents[1]
Run = Callable[[int], object]  # with so many pictures
Pictures = dict[str, Any]  # `original` and `segmented` (N, 128, 128, 3) uint8; `files` as they came


class Contender:
    """The other end: starts the process, gives orders, waits for answers."""

    def __init__(self, name: str, folder: Path) -> None:
        began = time.perf_counter()
        self.name = name
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.contender", name, str(folder)],
            cwd=ROOT,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.told = self._answer()
        self.ready_seconds = time.perf_counter() - began
        self.memory = machine.memory(self.process.pid)

    def time(self, which: str, batch: int, calls: int) -> float:
        """Seconds for each of so many calls, all together divided; wall clock."""
        return float(self._ask(which=which, batch=batch, calls=calls)["seconds"])

    def core_time(self, which: str, batch: int, calls: int) -> float:
        """Seconds of processor time, of all cores together, for each of so many calls."""
        return float(self._ask(which=which, batch=batch, calls=calls)["core_seconds"])

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _ask(self, **order: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("{"):  # libraries greet on stdout, too
                answer: dict[str, Any] = json.loads(line)
                if "error" in answer:
                    raise ContenderFailed(f"{self.name}: {answer['error']}")
                return answer
        raise ContenderFailed(f"{self.name} ended with code {self.process.wait()}")


class ContenderFailed(Exception):
    """An engine does not exist here, or fell over; the sentence says which and why."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """An engine: what it calls itself, and the ways of running it, each with so many pictures."""

    name: str
    runs: Mapping[str, Run]


def _naive(pictures: Pictures) -> Loaded:
    """The paper's web page: Keras's own `predict`, and what it does before, a picture at a time."""
    from ml.engines.tensorflow import network  # noqa: PLC0415
    from ml.packages import COMMITTED, verify  # noqa: PLC0415
    from ml.preprocessing import unit  # noqa: PLC0415

    model = network(verify(COMMITTED))
    files = pictures["files"]

    def predict(batch: int) -> object:
        pair = {
            "input_original": unit(pictures["original"][:batch]),
            "input_segmented": unit(pictures["segmented"][:batch]),
        }
        return model.predict(pair, verbose=0)

    def prepare(batch: int) -> object:
        return [_as_published(file) for file in files[:batch]]

    return Loaded("keras predict", {"predict": predict, "prepare": prepare})


def _as_published(file: bytes) -> tuple[Any, Any]:
    """Decoded, cut out by the paper's threshold, both resized and scaled to 0..1 (section 3)."""
    import cv2  # noqa: PLC0415

    from ml.preprocessing import SIZE, unit  # noqa: PLC0415
    from ml.segmentation import paper_mask  # noqa: PLC0415

    bgr = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR)
    rgb = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
    cut = rgb * paper_mask(rgb)[..., None]
    small = [cv2.resize(picture, (SIZE, SIZE)) for picture in (rgb, cut)]
    return unit(small[0]), unit(small[1])


def _tensorflow(pictures: Pictures, *, policy: str) -> Loaded:
    import keras  # noqa: PLC0415

    from ml.engines.tensorflow import TensorFlowEngine  # noqa: PLC0415
    from ml.packages import COMMITTED, verify  # noqa: PLC0415

    keras.config.set_dtype_policy(policy)
    return _on(pictures, TensorFlowEngine(verify(COMMITTED)))


def _openvino(pictures: Pictures, *, precision: str) -> Loaded:
    """Behind our interface, and the same network compiled once more and called bare."""
    from ml.engines.exports import Precision  # noqa: PLC0415
    from ml.engines.openvino import compiled  # noqa: PLC0415
    from ml.packages import COMMITTED, verify  # noqa: PLC0415

    ours = _started(pictures, f"openvino-{precision}")

    @cache  # made when first asked for: what the engine alone takes of memory is read before
    def request() -> Any:
        return compiled(verify(COMMITTED), Precision(precision)).create_infer_request()

    def bare(batch: int) -> object:
        pair = [pictures["original"][:batch], pictures["segmented"][:batch]]
        return request().infer(pair, share_inputs=True, share_outputs=True)

    return Loaded(ours.name, {**ours.runs, "bare": bare})


def _started(pictures: Pictures, wanted: str) -> Loaded:
    """The engine as the worker starts it; `auto` is what it takes when nobody says otherwise."""
    from ml import engines  # noqa: PLC0415
    from ml.packages import COMMITTED, verify  # noqa: PLC0415

    return _on(pictures, engines.start(verify(COMMITTED), wanted))


def _on(pictures: Pictures, engine: Any) -> Loaded:
    def run(batch: int) -> object:
        return engine(pictures["original"][:batch], pictures["segmented"][:batch])

    return Loaded(engine.name, {"engine": run})


MAKERS: dict[str, Callable[[Pictures], Loaded]] = {
    "naive": _naive,
    "product": partial(_started, wanted="auto"),
    "tensorflow fp32": partial(_tensorflow, policy="float32"),
    "tensorflow bf16": partial(_tensorflow, policy="mixed_bfloat16"),
    **{f"openvino {p}": partial(_openvino, precision=p) for p in ("fp32", "bf16", "int8")},
}


def lay_out(files: list[bytes], folder: Path) -> None:
    """Put the pictures, as they came and as the network sees them, where contenders look."""
    from ml.images import decode  # noqa: PLC0415
    from ml.preprocessing import prepare  # noqa: PLC0415

    ready = [prepare(decode(file)) for file in files]
    for name in ("original", "segmented"):
        np.save(folder / f"{name}.npy", np.stack([getattr(one, name) for one in ready]))
    for number, file in enumerate(files):
        (folder / f"{number:03}.picture").write_bytes(file)


def _laid_out(folder: Path) -> Pictures:
    stacks = {name: np.load(folder / f"{name}.npy") for name in ("original", "segmented")}
    files = [path.read_bytes() for path in sorted(folder.glob("*.picture"))]
    return {**stacks, "files": files}


def main(name: str, folder: Path) -> None:
    """Load, warm up, say so, and do as told until stdin ends."""
    pictures = _laid_out(folder)
    try:
        loaded = MAKERS[name](pictures)
        next(iter(loaded.runs.values()))(1)
    except Exception as error:
        _say(error=f"{type(error).__name__}: {error}")
        return
    _say(name=loaded.name, runs=list(loaded.runs))
    for line in sys.stdin:
        order = json.loads(line)
        run = loaded.runs[order["which"]]
        began, spent = time.perf_counter(), time.process_time()
        for _ in range(order["calls"]):
            run(order["batch"])
        took, spent = time.perf_counter() - began, time.process_time() - spent
        _say(seconds=took / order["calls"], core_seconds=spent / order["calls"])


def _say(**answer: Any) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
