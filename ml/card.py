"""The model card, written from the figures: no number in it is typed by hand."""

from collections.abc import Mapping
from typing import Any

from ml.classes import CLASSES

NAMES = {
    "benign": "Benign",
    "early_pre_b": "Early Pre-B",
    "pre_b": "Pre-B",
    "pro_b": "Pro-B",
}
PROTOCOLS = {
    "slides": "new slides, 5 folds",
    "slides-joined": "new slides, joined where fields overlap, 5 folds",
    "sittings": "new sittings, 3 folds dealt twice",
    "pictures": "by picture, as the paper (leaks), 5 seeds",
}
FIGURES = {
    "accuracy": "Accuracy",
    "slide_accuracy": "Accuracy, every slide counting alike",
    "macro_f1": "Macro F1",
    "malignant_sensitivity": "Malignant against benign: sensitivity",
    "malignant_specificity": "Malignant against benign: specificity",
    "malignant_sensitivity_at_specificity": "Sensitivity where specificity is 95 %",
    "calibration_error": "Expected calibration error",
}
LICENCES = [
    {
        "part": "vgg16.safetensors",
        "origin": "VGG16 trained on ImageNet by the Visual Geometry Group, University of Oxford; "
        "here rounded to 8 bits, its block 5 set to pass block 4 on",
        "licence": "CC BY 4.0",
    },
    {
        "part": "densenet121.safetensors, head.safetensors, gate.safetensors",
        "origin": "trained by this project on the Taleqani Hospital blood-smear set "
        "(Kaggle mehradaria/leukemia; M. Aria et al., 2021), the DenseNet trunk by imitating the "
        "VGG16 above; no picture is contained",
        "licence": "this project's; the set's own terms hold for its pictures",
    },
]


def write(description: Mapping[str, Any], figures: Mapping[str, Any]) -> str:
    """Markdown for people, from the manifest's description and `figures.json`'s content."""
    sections = (
        _opening(description),
        _use(),
        _data(figures),
        _results(figures),
        _slides(figures),
        _unfamiliar(figures),
        _limits(figures),
        _engines(figures),
        _making(description),
        _origins(),
    )
    return "\n\n".join(section.strip() for section in sections if section) + "\n"


def _opening(description: Mapping[str, Any]) -> str:
    return f"""
# {description["name"]} {description["version"]}

VGG16 on the blood-smear field and DenseNet-121 on its segmented cells, fused and classified into
Benign (hematogones) and three subtypes of acute lymphoblastic leukaemia: Early Pre-B, Pre-B and
Pro-B. The network is Table 3 of Islam et al., Sensors 2024, 24(13), 4420
(doi 10.3390/s24134420): 18,598,836 parameters.
"""


def _use() -> str:
    return """
## What it is for

Sorting blood-smear fields for a haematologist's eye. **It is not a diagnosis and no medical
device**: it has been tried on one hospital's pictures only. Every answer is to be reviewed by a
qualified person, and an answer of *Benign* rules nothing out. It is not for other stains, other
magnifications, bone marrow, or any disease outside the four classes; it knows no healthy smear.
"""


def _data(figures: Mapping[str, Any]) -> str:
    slides = figures["slides"]
    counts = ", ".join(
        f"{NAMES[key]} {row['pictures']} of {row['slides']} slides"
        for key, row in slides["classes"].items()
    )
    return f"""
## Data

{slides["pictures"]} field images of Taleqani Hospital, Tehran (Kaggle `mehradaria/leukemia`),
224 x 224 JPEG: {counts}. They come without patient or slide names; slides and sittings were
inferred from file order, stain, lamp and overlap. A small set: a class rests on as few as
{min(row["slides"] for row in slides["classes"].values())} slides.
"""


def _results(figures: Mapping[str, Any]) -> str:
    heads = " | ".join(PROTOCOLS[name] for name in PROTOCOLS if name in figures)
    rows = [
        f"| {title} | "
        + " | ".join(_cell(key, figures[name]) for name in PROTOCOLS if name in figures)
        + " |"
        for key, title in FIGURES.items()
    ]
    batch = figures["slides"]["new_batch"]
    promised = [
        f"| {title} | {_number(key, row['low'])} to {_number(key, row['high'])} |"
        for key, title in FIGURES.items()
        for row in [batch["figures"][key]]
    ]
    return f"""
## Results

Every prediction was made by a head of this recipe that was not taught on the picture, nor was its
temperature fitted on it. The shipped head was taught on all pictures. Intervals: 95 %, over
slides.

| | {heads} |
|---|{"---|" * (heads.count("|") + 1)}
{chr(10).join(rows)}

**The first column is the one to go by for new patients of this hospital, the third the one to fear
for any other.** The last repeats the paper's protocol (99.89 % there) and measures memory.

Where a new batch of slides of this hospital would fall ({batch["method"]}):

| | 95 % of such batches |
|---|---|
{chr(10).join(promised)}
"""


def _slides(figures: Mapping[str, Any]) -> str:
    slides = figures["slides"]
    classes = [
        f"| {NAMES[key]} | {row['pictures']} | "
        + " | ".join(_number(k, row[k]) for k in ("precision", "recall", "specificity", "f1"))
        + " |"
        for key, row in slides["classes"].items()
    ]
    table = [
        f"| {NAMES[label.value]} | {' | '.join(map(str, row))} |"
        for label, row in zip(CLASSES, slides["confusion"], strict=True)
    ]
    return f"""
## New slides, class by class

| class | pictures | precision | recall | specificity | F1 |
|---|---|---|---|---|---|
{chr(10).join(classes)}

Confusion (rows the truth, columns the answer):

| | {" | ".join(NAMES[label.value] for label in CLASSES)} |
|---|---|---|---|---|
{chr(10).join(table)}

Slides read wrongly in a tenth or more of their pictures: {_failed(slides, 0.9)}.
"""


def _unfamiliar(figures: Mapping[str, Any]) -> str:
    gate, foreign = figures["unfamiliar"], figures["foreign"]
    rows = [
        f"| {name.replace('_', ' ')} | {row['pictures']} | {_percent(row['kept_from_a_label'])} |"
        for name, row in foreign.items()
    ]
    return f"""
## What it does not know

A picture unlike the training ones is called *unfamiliar* and gets no label. On slides left out the
gate stops {_percent(gate["slides"])} of the pictures, on sittings left out
{_percent(gate["sittings"])} (a gate fitted without them each time). Pictures from elsewhere, by the
shipped package, and the share kept from a label by any of the gates:

| pictures from elsewhere | number | kept from a label |
|---|---|---|
{chr(10).join(rows)}

The gate learned from other pictures of these same kinds (other drawings, every second BCCD file,
distorted smears of other slides), so this is how it does on what it was warned of; a kind it has
never met may well be given a label. Drawn smears are among the kinds it was warned of: a
demonstration with drawn smears shows mostly 'unfamiliar', and rightly so.
"""


def _limits(figures: Mapping[str, Any]) -> str:
    return f"""
## Limits, and shortcuts that are known

- One hospital, few slides, and slides that were inferred. The audit of the set
  (`python -m ml data audit`) finds fields that two 'slides' share; the second column takes such
  slides for one.
- Stain, lamp and sitting go with the class in this set. The scale-bar corner is blanked, the glass
  brought to one grey and the stain shaken in training, but colour alone still tells most classes
  apart here: a logistic regression on colour histograms does nearly as well on new slides
  (`python -m ml experiment leaderboard`). It falls apart on new sittings.
- Sittings of which less than half the pictures were read rightly when left out:
  {_failed_sittings(figures)}. A slide that looks unlike its class's training slides can fail whole.
- DenseNet's trunk learnt to imitate VGG16 on the cells of all pictures, without labels. Slides
  judged in the folds were among them, so the folds may flatter it a little.
- The folds were looked at many times while the recipe was made; docs/model.md says what was tried.
"""


ENGINE_HEAD = (
    "CPU engine",
    "same class",
    "malignant turned benign",
    "probability off by, median",
    "99 %",
    "most",
    "unfamiliar or not: flips",
)


def engine_rows(engines: Mapping[str, Any]) -> list[list[str]]:
    """Rows under `ENGINE_HEAD`, from what `ml.engines.making.make` measured."""
    return [
        [
            precision,
            f"{100 * row['same_class']:.2f} %",
            str(row["turned_benign"]),
            *(f"{row[key]:.4f}" for key in ("off_median", "off_p99", "off_most")),
            f"{100 * row['gate_flips']:.2f} %",
        ]
        for precision, row in engines["precisions"].items()
    ]


def _engines(figures: Mapping[str, Any]) -> str:
    if "engines" not in figures:
        return ""
    engines = figures["engines"]
    pictures = next(iter(engines["precisions"].values()))["pictures"]
    bounds = engines["bounds"]
    rows = "\n".join(f"| {' | '.join(row)} |" for row in engine_rows(engines))
    return f"""
## On a CPU

All figures above are TensorFlow's. On a CPU the same weights run in OpenVINO, mostly in 8-bit
integers; on all {pictures} pictures its calibrated answers lay this far from those of
{engines["reference"]} (the largest difference of a picture's four probabilities):

| {" | ".join(ENGINE_HEAD)} |
|{"---|" * len(ENGINE_HEAD)}
{rows}

A precision is used only where at least {100 * bounds["same_class"]:.1f} % of the classes are the
same, no malignant answer turns benign and the 99th percentile is at most {bounds["off_p99"]}.
"""


def _making(description: Mapping[str, Any]) -> str:
    training = description["training"]
    dense = training["densenet121"]
    taught = (
        f"taught without labels on {dense['pictures']} galleries of cells, {dense['epochs']} "
        "epochs, to give the map that VGG16's block 4 gives"
        if isinstance(dense, Mapping)
        else "given weights"
    )
    head = training["head"]
    return f"""
## How it was made

Preprocessing `{description["preprocessing"]["version"]}`. VGG16 frozen, fed RGB in 0..1 as in the
paper; its block 5 passes on what block 4 found. DenseNet-121's trunk: {taught}. Dense layers:
{head["epochs"]} epochs, Adam, learning rate {head["rate"]}, batch {head["batch"]}, label smoothing
{head["smoothing"]}, mixup {head["mixup"]}, on every picture and on {training["copies"]} changed
copies (the paper's Table 2, any rotation, stain and lamp). Temperature
{description["calibration"]["temperature"]:.2f}, fitted on the folds' predictions. On two CPU cores
without a GPU. All figures were taken with the rounded weights that ship.
"""


def _origins() -> str:
    rows = [f"| {row['part']} | {row['origin']} | {row['licence']} |" for row in LICENCES]
    return f"""
## Origins and licences

| part | origin | licence |
|---|---|---|
{chr(10).join(rows)}
"""


def _cell(key: str, measured: Mapping[str, Any]) -> str:
    row = {**measured["headline"], **measured["further"]}[key]
    if row["low"] is None:
        return _number(key, row["value"])
    span = f"{_number(key, row['low'])} to {_number(key, row['high'])}"
    return f"{_number(key, row['value'])} ({span})"


def _failed(measured: Mapping[str, Any], floor: float) -> str:
    rows = sorted(measured["by_group"].items(), key=lambda item: item[1]["accuracy"])
    return _listed((name, row) for name, row in rows if row["accuracy"] <= floor)


def _failed_sittings(figures: Mapping[str, Any]) -> str:
    return _listed(
        (name, row)
        for name, row in figures["sittings"]["by_sitting"].items()
        if row["accuracy"] < 0.5
    )


def _listed(rows: Any) -> str:
    said = [
        f"{name} ({NAMES[row['class']]}, {_percent(row['accuracy'])} of {row['pictures']})"
        for name, row in rows
    ]
    return ", ".join(said) or "none"


def _number(key: str, value: float | None) -> str:
    if value is None:
        return "undefined"
    return f"{value:.3f}" if key == "calibration_error" else _percent(value)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
