"""The paper's protocol taken at its word: the slide is known again, and the figure follows.

Where single pictures are split, fields of one slide teach and are judged, and 'which class' is
answered by 'which slide'. This is the best we found at that: an SVM on what frozen trunks say of
both pictures, the shallow blocks of VGG16 (grain and tint) counting as much as the deep ones. The
same is then judged by slide and by sitting, where there is nothing to know again. It is an
experiment beside the model, never in the package.

C and gamma were chosen once by the errors on the validation parts of ten draws of the paper's
split; docs/model.md has the others and what they gave.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from ml import fusion, preprocessing
from ml.data import By, Example, Report
from ml.data.splits import most_folds
from ml.experiments import rounds
from ml.experiments.cache import kept, mark, mark_of
from ml.experiments.classifiers import soft
from ml.experiments.frozen import pictures
from ml.experiments.leaderboard import Trunks
from ml.experiments.rounds import Round
from ml.images import decode
from ml.preprocessing import Picture, prepare, unit

BLOCKS = ("block2_pool", "block3_pool", "block4_conv3", "block5_conv3")
C = 100.0
GAMMA = 0.25
PART = 64  # pictures in one file: what a broken run loses
FOLDS: dict[By, int] = {"group": 5, "session": 3}
WAYS = {
    "paper": "Judged as in the paper, by picture (its figure: 99.89 %)",
    "group": "Judged by slide",
    "session": "Judged by sitting",
}
HEAD = ("round", "judged", "errors", "accuracy, %")

Floats = NDArray[np.floating[Any]]
Said = list[Floats]
"""(N, width) of each source; see `seen`."""


def blocks(weights: fusion.Weights) -> keras.Model:
    """VGG16, (N, 128, 128, 3) RGB 0..1 to one (N, width) for each of `BLOCKS`, averaged over the
    picture."""
    trunk = fusion.vgg16_blocks(weights, BLOCKS)
    pooled = [keras.layers.GlobalAveragePooling2D()(one) for one in trunk.outputs]
    return keras.Model(trunk.input, pooled, name="vgg16_blocks_pooled")


def turned(picture: Picture) -> Picture:
    """(8, S, S, 3): a square picture in its four quarter turns, each as it is and mirrored."""
    turns = [np.rot90(picture, quarter) for quarter in range(4)]
    return np.stack([side for turn in turns for side in (turn, turn[:, ::-1])])


def seen(
    examples: Sequence[Example],
    vgg16: keras.Model,
    trunks: Trunks,
    *,
    folder: Path,
    report: Report,
) -> Said:
    """What there is to know the pictures by, one (N, width) a source.

    Of the field as published, scale bar and all, each of `BLOCKS`, the mean of the eight views;
    and the package's 1,024 features of field and cells. Kept in `folder`, part by part.
    """
    known = mark(_fingerprint(vgg16), trunks.fingerprint(), preprocessing.VERSION, BLOCKS)
    parts = []
    for start in range(0, len(examples), PART):
        here = examples[start : start + PART]
        file = folder / f"{known}-{mark_of(here)}.npy"
        parts.append(kept(file, partial(_of_part, here, vgg16, trunks)))
        report("features of eight views", start + len(here), len(examples))
    widths = [output.shape[-1] for output in vgg16.outputs]
    return np.split(np.concatenate(parts), np.cumsum(widths), axis=1)


def classify(said: Said, targets: NDArray[np.int64], one: Round, asked: Sequence[int]) -> Floats:
    """Taught on the round's `train`, (n, 4) shares for the pictures `asked`."""
    from sklearn.svm import SVC  # noqa: PLC0415

    train = list(one.train)
    ready = np.concatenate([_evened(source, train) for source in said], axis=1)
    machine = SVC(C=C, gamma=GAMMA / len(said)).fit(ready[train], targets[train])
    return soft(machine.decision_function(ready[list(asked)]))


def run(
    examples: Sequence[Example], said: Said, *, seeds: Sequence[int], report: Report
) -> dict[str, Any]:
    """By the paper's split for each of `seeds`, then by slide and by sitting; JSON-ready.

    `errors` and `of` count the judged pictures of each round; by the paper's split also the
    validation part's, which nothing is judged by.
    """
    targets = np.array([example.target for example in examples])
    ways: dict[str, list[Round]] = {"paper": rounds.by_paper(examples, seeds)}
    ways |= {
        by: rounds.by_folds(examples, by, min(count, most_folds(examples, by)))
        for by, count in FOLDS.items()
    }
    total, done = sum(map(len, ways.values())), 0
    result: dict[str, Any] = {"pictures": len(examples), "seeds": list(seeds), "ways": {}}
    for way, several in ways.items():
        answers, lines = [], []
        for one in several:
            answer = classify(said, targets, one, [*one.test, *one.validation])
            wrong = answer.argmax(axis=1) != targets[[*one.test, *one.validation]]
            answers.append(answer[: len(one.test)])
            lines.append(
                {
                    "name": one.name,
                    "of": len(one.test),
                    "errors": int(wrong[: len(one.test)].sum()),
                    "validation_errors": int(wrong[len(one.test) :].sum()),
                }
            )
            done += 1
            report("classifiers", done, total)
        held = rounds.predictions(examples, several, answers)
        figures = rounds.averaged(held) if way == "paper" else rounds.pooled(held)
        result["ways"][way] = {"rounds": lines, "figures": figures}
    return result


def lines(result: Mapping[str, Any], way: str) -> Iterator[list[str]]:
    """Under `HEAD`: each round, then all of them together."""
    held = result["ways"][way]
    for one in held["rounds"]:
        share = 1 - one["errors"] / one["of"]
        yield [one["name"], str(one["of"]), str(one["errors"]), f"{100 * share:.2f}"]
    judged, errors = (sum(one[what] for one in held["rounds"]) for what in ("of", "errors"))
    yield ["together", str(judged), str(errors), f"{100 * held['figures']['accuracy']:.2f}"]


def write(result: dict[str, Any], folder: Path) -> Path:
    """The figures as JSON in `folder`; returns the file."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "recognition.json"
    file.write_text(json.dumps(result, indent=1) + "\n")
    return file


def _of_part(examples: Sequence[Example], vgg16: keras.Model, trunks: Trunks) -> Floats:
    rows = []
    for example in examples:
        views = turned(pictures(example, corner=True)[0])
        said = vgg16.predict_on_batch(unit(views))
        rows.append(np.concatenate([np.asarray(block).mean(axis=0) for block in said]))
    ready = [prepare(decode(example.read())) for example in examples]
    fused = trunks(
        np.stack([one.original for one in ready]), np.stack([one.segmented for one in ready])
    )
    return np.concatenate([np.stack(rows), fused], axis=1).astype(np.float32)


def _evened(source: Floats, train: Sequence[int]) -> Floats:
    """Standardised by the taught pictures, and as loud as any other source, however wide.

    A channel that hardly ever speaks is not blown up: no spread counts as less than a twentieth
    of the median one.
    """
    mean, spread = source[train].mean(axis=0), source[train].std(axis=0)
    spread = np.maximum(spread, max(0.05 * float(np.median(spread)), 1e-9))
    return np.asarray((source - mean) / spread / np.sqrt(source.shape[1]))


@cache
def _fingerprint(model: keras.Model) -> str:
    return mark([np.ascontiguousarray(weight.numpy()).tobytes() for weight in model.weights])
