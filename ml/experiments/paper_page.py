"""Ours beside the paper's: the lines that the command line prints and the page that shows them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ml import page
from ml.experiments.paper import NOT_AT_HAND, TRUNKS

Result = Mapping[str, Any]

COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("pictures", "as published", "by picture"),
    ("pictures", "corner blanked", "by picture, no corner"),
    ("slides", "as published", "by slide"),
    ("slides", "corner blanked", "by slide, no corner"),
)
ACCURACY_HEAD = ("Table 5", "fed", "paper", *(words for _, _, words in COLUMNS))
REPORT_HEAD = (
    *("Table 5", "fed", "precision", "ours", "recall", "ours", "F1", "ours"),
    *("F1 by slide, no corner",),
)
FUSIONS_HEAD = (
    *("Table 4", "accuracy", "ours", "sensitivity", "ours", "precision", "ours"),
    *("specificity", "ours", "accuracy by slide, no corner"),
)
OURS = {
    "accuracy": "accuracy",
    "precision": "macro_precision",
    "recall": "macro_recall",
    "f1": "macro_f1",
    "specificity": "macro_specificity",
}
LEFT_IN = "as published"


def accuracy_lines(result: Result) -> Iterator[list[str]]:
    """Under `ACCURACY_HEAD`; by picture the mean over seeds and its deviation."""
    for row in _rows(result, 5):
        first = [_model(row, result), row["fed"], _theirs(row, "accuracy")]
        if row["missing"]:
            yield [*first, *_lacking(row, len(COLUMNS))]
            continue
        yield [*first, *(_accuracy(row, protocol, corner) for protocol, corner, _ in COLUMNS)]


def report_lines(result: Result) -> Iterator[list[str]]:
    """Under `REPORT_HEAD`: the paper's figure, then ours by picture with the corner left in."""
    for row in _rows(result, 5):
        first = [_model(row, result), row["fed"]]
        if row["missing"]:
            yield [*first, *_lacking(row, len(REPORT_HEAD) - 2)]
            continue
        pairs = _pairs(row, ("precision", "recall", "f1"))
        yield [*first, *pairs, _percent(row["ours"]["slides"]["corner blanked"]["macro_f1"])]


def fusion_lines(result: Result) -> Iterator[list[str]]:
    """Under `FUSIONS_HEAD`: fusions with other trunks, and the proposed one."""
    chosen = [row for row in result["rows"] if row["table"] == 4 or row["key"] == "fusion-both"]
    for row in chosen:
        if row["missing"]:
            yield [_model(row, result), *_lacking(row, len(FUSIONS_HEAD) - 1)]
            continue
        pairs = _pairs(row, ("accuracy", "recall", "precision", "specificity"))
        yield [_model(row, result), *pairs, _accuracy(row, "slides", "corner blanked")]


def origin_lines(result: Result) -> Iterator[list[str]]:
    """Which weights stand behind each trunk."""
    for name, origin in result["trunks"].items():
        yield [f"{TRUNKS[name]}{_star(name, result)}", origin]


def summary(result: Result) -> str:
    """What the proposed model's four figures say, in a sentence; empty where it was not run."""
    fusion = next((row for row in result["rows"] if row["key"] == "fusion-both"), None)
    if fusion is None or fusion["missing"]:
        return ""
    said = [_percent(fusion["ours"][p][c]["accuracy"]) for p, c, _ in COLUMNS]
    published = fusion["published"]["accuracy"]
    return (
        f"The proposed fusion on both pictures: published {published:.2f} %. By the same protocol "
        f"here {said[0]} (mean of {len(result['seeds'])} seeds); with the burnt-in corner blanked "
        f"{said[1]}; on slides that it was not taught on {said[2]}, and {said[3]} with the corner "
        "blanked as well."
    )


def notes(result: Result) -> Iterator[str]:
    """How the figures were made; a reader cannot use them otherwise."""
    recipe, seen = result["recipe"], result["seen_slides"]
    seeds = ", ".join(str(seed) for seed in result["seeds"])
    yield (
        f"Recipe: frozen trunks, RGB 0..1, Table 3's head, Adam {recipe['rate']:g}, batch "
        f"{recipe['batch']}, {recipe['epochs']} epochs, the last epoch judged; each epoch shows "
        f"every picture as it is or as one of {recipe['copies']} copies changed by Table 2. The "
        "segmented picture is the paper's HSV threshold on black, not ours."
    )
    if recipe["level"]:
        yield (
            "Not the paper's: every feature was brought to mean 0 and deviation 1 before the "
            "head, without which a trunk that speaks louder than the other drowns it."
        )
    elif _stars(result):
        yield (
            "The paper's recipe takes features as they come. Trunks that were not taught alike do "
            "not speak equally loud, and the louder one drowns the other in a fusion; "
            "--level takes that away."
        )
    yield (
        f"By picture: 7:2:1 as the paper, seeds {seeds}, mean and standard deviation. In "
        f"{seen['pictures']:.0%} of the judged pictures the head had been taught on the same "
        f"slide. By slide: {result['folds']} folds of whole slides ({seen['slides']:.0%}), every "
        f"one of the {result['pictures']:,} pictures judged once."
    )
    yield (
        "Precision, recall, specificity and F1 are means of the four classes, each counting "
        "alike. The paper does not say how it averaged, at which layer it cut ResNet50 and "
        "MobileNet, or which trunk of those fusions saw which picture; here they are cut where "
        "512 channels come out, and DenseNet-121 sees the segmented picture."
    )
    if _stars(result):
        yield (
            "* not ImageNet's weights, so this is not the paper's trunk: such a row shows what "
            "the recipe gives with the trunk that was at hand."
        )


def write(result: Result) -> str:
    """The page, one file."""
    said = summary(result)
    return page.page(
        "The paper's tables, run again",
        page.words(said, "warning") if said else "",
        page.heading("Accuracy, %"),
        page.table(ACCURACY_HEAD, accuracy_lines(result)),
        page.heading("Classification report, %, by picture with the corner left in"),
        page.table(REPORT_HEAD, report_lines(result)),
        page.heading("Fusions with other trunks, %, by picture with the corner left in"),
        page.table(FUSIONS_HEAD, fusion_lines(result)),
        page.heading("Whose weights"),
        page.table(("trunk", "weights"), origin_lines(result), kind="words"),
        page.heading("How it was done"),
        *(page.words(note) for note in notes(result)),
    )


def _rows(result: Result, table: int) -> list[Result]:
    return [row for row in result["rows"] if row["table"] == table]


def _model(row: Result, result: Result) -> str:
    return f"{row['model']}{'*' if any(_star(t, result) for t in row['trunks']) else ''}"


def _star(trunk: str, result: Result) -> str:
    return "*" if trunk in _stars(result) else ""


def _stars(result: Result) -> list[str]:
    """Trunks that were run on other weights than ImageNet's."""
    return [
        name
        for name, origin in result["trunks"].items()
        if not origin.startswith("ImageNet") and origin != NOT_AT_HAND
    ]


def _lacking(row: Result, columns: int) -> Sequence[str]:
    return [f"{NOT_AT_HAND}: {', '.join(row['missing'])}", *[""] * (columns - 1)]


def _pairs(row: Result, names: Sequence[str]) -> Iterator[str]:
    ours = row["ours"]["pictures"][LEFT_IN]
    for name in names:
        yield _theirs(row, name)
        yield _percent(ours[OURS[name]])


def _accuracy(row: Result, protocol: str, corner: str) -> str:
    figures = row["ours"][protocol][corner]
    spread = figures["deviation"] if protocol == "pictures" else None
    share = _percent(figures["accuracy"])
    return share if spread is None else f"{share} ± {100 * spread:.2f}"


def _theirs(row: Result, name: str) -> str:
    return f"{row['published'][name]:.2f}" if name in row["published"] else "–"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.2f}"
