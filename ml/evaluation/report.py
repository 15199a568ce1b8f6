"""One page that says how good the model is: `report.html`, and the figures beside it.

report.html             everything, in one file: no script, nothing fetched
figures.json            every number, with intervals
figures/*.png, *.svg    every figure
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ml.evaluation import figures, intervals, page
from ml.evaluation.metrics import measure, values
from ml.evaluation.sections import Section, Study

Report = Callable[[str, int, int], None]  # what is being done, how far, of how much

FOLD_FIGURES = ("accuracy", "macro_f1", "malignant_sensitivity", "malignant_specificity")

CAPTIONS: Mapping[str, str] = {
    "confusion_matrix": "Confusion: rows are the truth, columns the answer.",
    "by_slide": "Slide by slide: a mark a slide, as large as it has pictures. A good average can "
    "hide a slide that fails altogether.",
    "roc": "ROC: sensitivity against false alarms at every threshold. Inside, the corner enlarged.",
    "precision_recall": "Precision against recall at every threshold. Inside, the corner enlarged.",
    "calibration": "Is confidence earned? On the line, 80 % sure is right four times in five.",
    "coverage": "Leaving the least sure to people: how many are answered, how many of these right.",
}


def write_report(
    folder: Path, study: Study, *, report: Report, draws: int = intervals.DRAWS
) -> Path:
    """Write the report of `study` into `folder`; returns the path of report.html.

    `draws` bootstrap draws for each interval: 2,000 take some ten seconds a section.
    """
    folder.mkdir(parents=True, exist_ok=True)
    measured, chapters = {}, []
    for done, section in enumerate(study.sections, start=1):
        measured[section.name] = figured = _measured(section, draws=draws)
        chapters.append(page.chapter(section, figured, _drawings(section, folder / "figures")))
        report("measuring and drawing", done, len(study.sections))
    numbers = {"title": study.title, "sections": measured}
    (folder / "figures.json").write_text(json.dumps(numbers, indent=1, allow_nan=False) + "\n")
    beside = _comparison(study, measured, folder / "figures")
    written = folder / "report.html"
    written.write_text(page.whole(study, measured, beside, chapters), encoding="utf-8")
    return written


def _measured(section: Section, *, draws: int) -> dict[str, Any]:
    """`measure` of all folds together, the folds one by one, the gate, the published figures."""
    held = section.predictions
    folds = {
        name: {
            "pictures": len(part.targets),
            "slides": len(np.unique(part.groups)),
            **{figure: found[figure] for figure in FOLD_FIGURES},
        }
        for name, part in held.by_fold().items()
        for found in [values(part)]
    }
    return {
        "title": section.title,
        "leaks": section.leaks,
        **_intervals(section, draws),
        "folds": folds,
        "gate": _gate(section),
        "published": dict(section.paper),
    }


def _intervals(section: Section, draws: int) -> dict[str, Any]:
    """A split that leaks has no new slide in it and says nothing of any."""
    answers = section.predictions.answers()
    if section.leaks:
        return measure(answers, draws=draws, batch=None, unseen=False)
    return measure(answers, draws=draws)


def _gate(section: Section) -> dict[str, Any] | None:
    """What the gate stopped, and how well the rest was read."""
    familiar = section.predictions.familiar
    if familiar is None:
        return None
    parts = {"let_through": familiar, "stopped": ~familiar}
    return {
        name: {
            "pictures": int(chosen.sum()),
            "accuracy": values(section.predictions.answers(chosen))["accuracy"]
            if chosen.any()
            else None,
        }
        for name, chosen in parts.items()
    }


def _drawings(section: Section, folder: Path) -> list[page.Drawing]:
    """Every figure of one section, written to `folder`."""
    answers = section.predictions.answers()
    drawn = [
        page.Drawing(figures.save(draw(answers), folder, f"{section.name}-{kind}"), caption)
        for kind, caption in CAPTIONS.items()
        for draw in [getattr(figures, kind)]
    ]
    for run, history in section.histories.items():
        path = figures.save(figures.learning(history), folder, f"{section.name}-learning-{run}")
        drawn.append(page.Drawing(path, f"Learning curves: {run}."))
    return drawn


def _comparison(
    study: Study, measured: Mapping[str, Mapping[str, Any]], folder: Path
) -> list[page.Drawing]:
    """Accuracy of every section beside the published one; then beside that of others."""
    ours = [
        (one.title, measured[one.name]["headline"]["accuracy"]["value"], one.paper.get("accuracy"))
        for one in study.sections
    ]
    drawn = []
    if any(row[2] is not None for row in ours):
        path = figures.save(figures.comparison(ours, what="accuracy"), folder, "beside-the-paper")
        caption = "Accuracy, ours beside the paper's, each on the split that is named."
        drawn.append(page.Drawing(path, caption))
    if study.others:
        rows: list[tuple[str, float | None, float | None]]
        rows = [(title, share, None) for title, share, _ in ours]
        rows += [(name, None, share) for name, share in study.others.items()]
        path = figures.save(figures.comparison(rows, what="accuracy"), folder, "beside-others")
        caption = "Accuracy that others published, on other splits and partly on other data."
        drawn.append(page.Drawing(path, caption))
    return drawn
