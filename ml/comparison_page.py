"""A comparison of two packages for people: rows for a terminal or a page, and the page."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ml import page
from ml.card import NAMES
from ml.classes import Class
from ml.data import Example
from ml.images import decode, thumbnail

Result = Mapping[str, Any]

FIGURES = {
    "accuracy": "Accuracy",
    "macro_f1": "Macro F1",
    "malignant_sensitivity": "Malignant found (sensitivity)",
    "malignant_specificity": "Benign left in peace (specificity)",
}
FIGURE_HEAD = ("figure", "A (95 %)", "B (95 %)", "B minus A (95 %)", "chance", "so")
SURE = 0.05
CHANGED_HEAD = ("picture", "slide", "truth", "A said", "B said", "right")
SLIDE_HEAD = ("slide", "class", "pictures", "A right", "B right")
RIGHT = {"both": "both right", "a": "only A", "b": "only B", "neither": "neither"}
SHOWN = 40  # changed pictures drawn on the page
SIDE = 224


def figure_lines(block: Result) -> Iterator[list[str]]:
    """Under `FIGURE_HEAD`; the last column wants interval and chance to agree."""
    for name, words in FIGURES.items():
        a, b = (block["figures"][side]["headline"][name] for side in ("a", "b"))
        change = block["differences"][name]
        chance = "-" if change["chance"] is None else f"{change['chance']:.3f}"
        said = [_value(a), _value(b), _value(change, "{:+.3f}"), chance, _verdict(change)]
        yield [words, *said]


def right_line(block: Result) -> str:
    """Agreement and who was right, in one sentence."""
    counts = ", ".join(f"{RIGHT[who]} {count}" for who, count in block["right"].items())
    agreement = block["agreement"]
    return (
        f"{block['pictures']} pictures of {block['slides']} slides. Same class in "
        f"{agreement['class']:.1%}, same outcome in {agreement['outcome']:.1%}. Of the likeliest "
        f"class: {counts}."
    )


def changed_lines(result: Result) -> Iterator[list[str]]:
    """Under `CHANGED_HEAD`: pictures whose likeliest class differs, slide by slide."""
    order = sorted(result["changed"], key=lambda row: (row["class"], row["group"], row["file"]))
    for row in order:
        said = [_said(row[side]) for side in ("a", "b")]
        truth = NAMES[Class(row["class"])]
        yield [row["file"], row["group"], truth, *said, RIGHT[row["right"]]]


def slide_lines(block: Result) -> Iterator[list[str]]:
    """Under `SLIDE_HEAD`: slides on which one was right more often."""
    for row in block["by_slide"]:
        name = NAMES[Class(row["class"])]
        yield [row["group"], name, *(str(row[key]) for key in ("pictures", "a", "b"))]


def title(result: Result, side: str) -> str:
    """Name, version and the first digits of the digest of "a" or "b"."""
    held = result["packages"][side]
    return f"{side.upper()}: {held['name']} {held['version']} ({held['digest'][:12]})"


def write(result: Result, examples: Sequence[Example]) -> str:
    """The whole comparison as one HTML file, changed pictures drawn."""
    parts = [page.words(title(result, side)) for side in ("a", "b")]
    parts += [page.words(sentence, "warning") for sentence in result["warnings"]]
    if result["unseen"]:
        parts.append(page.heading("Slides that are new to both"))
        parts.append(_block(result["unseen"]))
    if result["unseen"] != result["all"]:
        parts.append(page.heading("All pictures"))
        parts.append(_block(result["all"]))
    parts.append(page.words(result["method"], "quiet"))
    parts.append(page.heading(f"Changed answers: {len(result['changed'])}"))
    if result["changed"]:
        parts.append(page.table(CHANGED_HEAD, changed_lines(result), kind="words"))
        parts += _drawn(result, examples)
    return page.page("Two model packages compared", *parts)


def _block(block: Result) -> str:
    parts = [page.words(right_line(block)), page.table(FIGURE_HEAD, figure_lines(block))]
    if block["by_slide"]:
        parts.append(page.heading("Slides on which one was right more often", 3))
        parts.append(page.table(SLIDE_HEAD, slide_lines(block), kind="words"))
    return "".join(parts)


def _drawn(result: Result, examples: Sequence[Example]) -> Iterator[str]:
    """The changed pictures, where one was right first: there is most to learn."""
    known = {(e.label.value, e.group, e.path.name): e for e in examples}
    order = sorted(result["changed"], key=lambda row: row["right"] == "neither")
    yield page.heading(f"The pictures{f' (first {SHOWN})' if len(order) > SHOWN else ''}", 3)
    drawn = []
    for row in order[:SHOWN]:
        example = known[row["class"], row["group"], row["file"]]
        what = f"{NAMES[example.label]}; A {_said(row['a'])}, B {_said(row['b'])}"
        drawn.append((f"{row['file']}: {what}", thumbnail(decode(example.read()), SIDE)))
    yield page.row("Truth first, then what each said.", drawn)


def _said(word: Mapping[str, Any]) -> str:
    held = ", unfamiliar" if word["outcome"] == "unfamiliar" else ""
    return f"{NAMES[Class(word['class'])]} {word['probability']:.0%}{held}"


def _value(row: Mapping[str, float | None], form: str = "{:.3f}") -> str:
    if row["value"] is None:
        return "-"
    if row["low"] is None or row["high"] is None:
        return form.format(row["value"])
    return f"{form.format(row['value'])} ({form.format(row['low'])} to {form.format(row['high'])})"


def _verdict(change: Mapping[str, float | None]) -> str:
    low, high, chance = change["low"], change["high"], change["chance"]
    if low is None or high is None or chance is None:
        return ""
    if low == high == 0:
        return "the same"
    if chance >= SURE or low <= 0 <= high:
        return "cannot be told"
    return "B better" if low > 0 else "A better"
