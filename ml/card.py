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
HEADLINES = {
    "accuracy": "Accuracy",
    "slide_accuracy": "Accuracy, every slide counting alike",
    "macro_f1": "Macro F1",
    "malignant_sensitivity": "Malignant against benign: sensitivity",
    "malignant_specificity": "Malignant against benign: specificity",
    "calibration_error": "Expected calibration error",
}
FOREIGN = {
    "noise": "Random noise",
    "gradients": "Colour gradients with discs",
    "other_laboratory": "Ordinary smears of another laboratory (BCCD)",
    "synthetic": "This project's synthetic smears",
}
LICENCES = [
    {
        "part": "vgg16.safetensors",
        "origin": "VGG16 trained on ImageNet by the Visual Geometry Group, University of Oxford; "
        "here rounded to 8 bits",
        "licence": "CC BY 4.0",
    },
    {
        "part": "densenet121.safetensors, head.safetensors, gate.safetensors",
        "origin": "trained by this project on the Taleqani Hospital blood-smear set "
        "(Kaggle mehradaria/leukemia; M. Aria et al., 2021); no picture is contained",
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
        _unfamiliar(figures),
        _limits(figures),
        _making(description, figures),
        _origins(),
    )
    return "\n\n".join(section.strip() for section in sections) + "\n"


def _opening(description: Mapping[str, Any]) -> str:
    return f"""
# {description["name"]} {description["version"]}

VGG16 on the blood-smear field and DenseNet-121 on its segmented twin, fused and classified into
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
    split = figures["split"]
    rows = [
        f"| {part} | "
        + " | ".join(
            f"{held[label.value]['pictures']} / {held[label.value]['groups']}" for label in CLASSES
        )
        + " |"
        for part, held in split["parts"].items()
    ]
    names = " | ".join(NAMES[label.value] for label in CLASSES)
    return f"""
## Data

Field images of Taleqani Hospital, Tehran (Kaggle `mehradaria/leukemia`), 224 x 224 JPEG. They
come without patient or slide names; slides were inferred from file order, stain and overlap.
Whole slides went into one part each (seed {split["seed"]}). Pictures / slides:

| part | {names} |
|---|---|---|---|---|
{chr(10).join(rows)}
"""


def _results(figures: Mapping[str, Any]) -> str:
    test, labelled = figures["test"], figures["classified_only"]
    outcomes = ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in figures["outcomes"].items())
    return f"""
## Results on slides never seen

{test["pictures"]} pictures of {test["groups"]} slides; {test["interval"]}; {figures["engine"]}.
Outcomes of all test pictures: {outcomes}.

| | all that the network saw | only those given a label ({labelled["pictures"]}) |
|---|---|---|
{chr(10).join(_headline(key, test, labelled) for key in HEADLINES)}

| class | pictures | precision | recall | F1 |
|---|---|---|---|---|
{chr(10).join(_class_row(key, row) for key, row in test["classes"].items())}

Confusion (rows the truth, columns the answer):

| | {" | ".join(NAMES[label.value] for label in CLASSES)} |
|---|---|---|---|---|
{chr(10).join(_confusion_row(label.value, row) for label, row in _confusion(test))}

Slide by slide:

| slide | class | pictures | accuracy |
|---|---|---|---|
{chr(10).join(_slide_row(name, row) for name, row in test["by_group"].items())}

{figures["warning"]}
"""


def _unfamiliar(figures: Mapping[str, Any]) -> str:
    gate, foreign = figures["unfamiliar"], figures["foreign"]
    rows = [
        f"| {FOREIGN.get(name, name)} | {row['pictures']} | {_percent(row['kept_from_a_label'])} | "
        f"{_percent(row['caught_by_the_gate'])} |"
        for name, row in foreign.items()
    ]
    return f"""
## What it does not know

A picture far from the training ones is called *unfamiliar* and gets no label. The threshold was
set to stop {_percent(gate["set_to"])} of the pictures of the median validation slide. Of the test
pictures it stops {gate["right_stopped"]} of the {gate["right"]} that would be read rightly and
{gate["wrong_stopped"]} of the {gate["wrong"]} that would be read wrongly. When this rule was
chosen, half of the BCCD pictures and an earlier rule's test figures had been seen, so these
figures are on the hopeful side.

| pictures from elsewhere | number | kept from a label | of the network's, called unfamiliar |
|---|---|---|---|
{chr(10).join(rows)}
"""


def _limits(figures: Mapping[str, Any]) -> str:
    test, validation = figures["test"]["headline"], figures["validation"]["headline"]
    few = min(
        sum(row["class"] == label.value for row in figures["test"]["by_group"].values())
        for label in CLASSES
    )
    counts = {part: figures[part]["pictures"] for part in ("validation", "test")}
    every = sum(counts.values())
    right = counts["validation"] * validation["accuracy"]["value"]
    right += counts["test"] * test["accuracy"]["value"]
    failed = [
        f"{name} ({part}, {NAMES[row['class']]}, {row['pictures']} pictures)"
        for part in ("validation", "test")
        for name, row in figures[part]["by_group"].items()
        if row["accuracy"] < 0.5
    ]
    return f"""
## Limits, and shortcuts that are known

- One hospital, few slides: in the test part a class may rest on as little as
  {few} slide(s). The intervals know only the slides that were drawn, so they are too narrow.
- Stain, lamp and microscope session go with the class in this set. The scale-bar corner is
  blanked and the glass brought to one grey, in training and in use, but stain and focus may
  still carry the answer where the cells should.
- Accuracy was {_percent(validation["accuracy"]["value"])} on the validation slides, which steered
  every choice, and {_percent(test["accuracy"]["value"])} on the test slides. They differ because
  slides differ: over the {every} pictures of both parts it is {_percent(right / every)}.
  No figure here is what another hospital will see.
- Slides of which less than half the pictures were read rightly: {", ".join(failed) or "none"}.
  A slide that looks unlike its class's training slides can fail as a whole.
- How crowded the field is goes with the class, too: most Pre-B slides of the set are crowded,
  so a sparse Pre-B field is easily taken for another class.
- Calibration was fitted on the validation slides alone.
"""


def _making(description: Mapping[str, Any], figures: Mapping[str, Any]) -> str:
    training = description["training"]
    dense = training["densenet121"]
    taught = (
        f"taught from scratch on segmented training pictures, {dense['epochs']} epochs"
        if isinstance(dense, Mapping)
        else "given weights"
    )
    head = training["head"]
    return f"""
## How it was made

Preprocessing `{description["preprocessing"]["version"]}`. VGG16 frozen, fed RGB in 0..1 as in the
paper (against BGR with the ImageNet means, it did better on validation slides). DenseNet-121
{taught}. Dense layers: {head["epochs"]} epochs, Adam, learning rate {head["rate"]}, batch
{head["batch"]}, on each training picture plain and in {training["copies"]} augmented copies.
Temperature {description["calibration"]["temperature"]:.2f}. All figures were taken with the
rounded weights that ship.
"""


def _origins() -> str:
    rows = [f"| {row['part']} | {row['origin']} | {row['licence']} |" for row in LICENCES]
    return f"""
## Origins and licences

| part | origin | licence |
|---|---|---|
{chr(10).join(rows)}
"""


def _headline(key: str, test: Mapping[str, Any], labelled: Mapping[str, Any]) -> str:
    cells = [_interval(key, measured["headline"][key]) for measured in (test, labelled)]
    return f"| {HEADLINES[key]} | {' | '.join(cells)} |"


def _interval(key: str, row: Mapping[str, float]) -> str:
    if key == "calibration_error":
        return f"{row['value']:.3f} ({row['low']:.3f} to {row['high']:.3f})"
    return f"{_percent(row['value'])} ({_percent(row['low'])} to {_percent(row['high'])})"


def _class_row(key: str, row: Mapping[str, float]) -> str:
    parts = " | ".join(_percent(row[name]) for name in ("precision", "recall", "f1"))
    return f"| {NAMES[key]} | {row['pictures']} | {parts} |"


def _confusion(test: Mapping[str, Any]) -> list[tuple[Any, list[int]]]:
    return list(zip(CLASSES, test["confusion"], strict=True))


def _confusion_row(key: str, row: list[int]) -> str:
    return f"| {NAMES[key]} | {' | '.join(map(str, row))} |"


def _slide_row(name: str, row: Mapping[str, Any]) -> str:
    return f"| {name} | {NAMES[row['class']]} | {row['pictures']} | {_percent(row['accuracy'])} |"


def _percent(share: float | None) -> str:
    return "none got there" if share is None else f"{100 * share:.1f} %"
