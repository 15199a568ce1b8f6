"""The leaderboard in lines for the command line, and as a page with one bar a figure."""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from ml import page

Result = Mapping[str, Any]

WAYS = {"image": "by picture", "group": "by slide", "session": "by sitting"}
HEAD = ("classifier", "accuracy", "rounds", "macro F1", "sensitivity", "specificity")
MEANS = {
    "image": "Folds of single pictures: fields of one slide teach and are judged, so this is "
    "mostly memory.",
    "group": "Folds of whole slides: the figure for a new patient in the same hospital. The "
    "list is in this order everywhere.",
    "session": "Folds of whole sittings: another lamp, another batch of stain. The figure to fear "
    "for another hospital.",
}
SPAN = 0.5  # of a bar's scale: four classes and unequal shares leave nobody below it for long
COLOURS = {"image": "var(--quiet)", "group": "var(--mark)", "session": "var(--bad)"}


def ranked(result: Result) -> list[Result]:
    """The lines, best macro F1 by slide first (by picture where there are too few slides)."""
    by = "group" if "group" in result["folds"] else "image"
    return sorted(result["lines"], key=lambda line: -(line["figures"][by]["macro_f1"] or 0))


def lines(result: Result, by: str) -> Iterator[list[str]]:
    """Under `HEAD`, for one way of judging."""
    for line in ranked(result):
        figures = line["figures"][by]
        shares = [share for share in figures["rounds"].values() if share is not None]
        yield [
            line["title"],
            _percent(figures["accuracy"]),
            f"{_percent(min(shares))} to {_percent(max(shares))}" if shares else "–",
            *(
                _percent(figures[name])
                for name in ("macro_f1", "malignant_sensitivity", "malignant_specificity")
            ),
        ]


def colour_note(result: Result) -> str:
    """What colour alone gives, in a sentence; empty where it was not run."""
    held = {line["key"]: line["figures"] for line in result["lines"]}
    if "colour" not in held:
        return ""
    said = ", ".join(
        f"{_percent(figures['accuracy'])} % {WAYS[by]}" for by, figures in held["colour"].items()
    )
    floor = held.get("logistic", {}).get("group")
    beside = f" Both trunks reach {_percent(floor['accuracy'])} % by slide." if floor else ""
    return (
        f"How much there is of each colour, after the light was balanced and with no knowledge "
        f"of where, gives {said}.{beside} A figure by slide that is no better than that of the "
        "colours does not show that a classifier has looked at a cell."
    )


def notes(result: Result) -> Iterator[str]:
    """How the figures were made."""
    folds = ", ".join(f"{count} folds {WAYS[by]}" for by, count in result["folds"].items())
    yield (
        f"{result['pictures']:,} pictures of {result['slides']} slides, {folds}; every picture is "
        "judged once by a classifier that was not taught on it. Figures are over all folds "
        "together; 'rounds' is the accuracy of the worst and of the best fold. Sensitivity is the "
        "share of malignant pictures that were called any malignant class, specificity that of "
        "benign ones called benign, both at the likeliest class."
    )
    yield (
        f"Trunks: {result['trunks']}. They are frozen and have seen no label. Every classifier "
        "has one setting, fixed beforehand; none was tuned on these folds. The classifiers are "
        "taught on unchanged pictures: no augmentation, which the shipped model has."
    )


def write(result: Result) -> str:
    """The page, one file."""
    parts = [page.words(colour_note(result), "warning")] if colour_note(result) else []
    parts += [page.heading("Accuracy at a glance"), _chart(result)]
    for by in result["folds"]:
        parts += [page.heading(f"Judged {WAYS[by]}, %"), page.words(MEANS[by])]
        parts.append(page.table(HEAD, lines(result, by)))
    cited = [[line["title"], line["table_6"]] for line in ranked(result) if line["table_6"]]
    if cited:
        parts += [
            page.heading("Their like in the paper's Table 6"),
            page.words("On other pictures and other splits, accuracy in %: not comparable."),
            page.table(("classifier", "published"), cited, kind="words"),
        ]
    parts.append(page.heading("How it was done"))
    return page.page("Classifiers on the same features", *parts, *map(page.words, notes(result)))


def _chart(result: Result) -> str:
    """One row a classifier, a dot for each way of judging: the further apart, the more memory."""
    legend = " ".join(
        f'<span style="white-space:nowrap"><span style="color:{COLOURS[by]}">&#9679;</span> '
        f"{WAYS[by]}</span>"
        for by in result["folds"]
    )
    rows = "".join(_dots(line) for line in ranked(result))
    ends = (
        '<div style="display:flex;justify-content:space-between" class="quiet">'
        f"<span>{100 * SPAN:.0f} %</span><span>100 %</span></div>"
    )
    return f'<p class="quiet">{legend}</p><div style="max-width:46rem">{rows}{ends}</div>'


def _dots(line: Result) -> str:
    said = ", ".join(f"{WAYS[by]} {_percent(f['accuracy'])} %" for by, f in line["figures"].items())
    marks = "".join(
        f'<circle cx="{_place(figures["accuracy"]):.2f}%" cy="10" r="6" fill="{COLOURS[by]}"/>'
        for by, figures in line["figures"].items()
    )
    return (
        f'<div style="font-size:.9rem">{escape(line["title"])}</div>'
        f'<svg role="img" aria-label="{escape(line["title"])}: {said}" width="100%" height="20" '
        'style="display:block;overflow:visible;margin-bottom:.4rem">'
        '<line x1="0" x2="100%" y1="10" y2="10" stroke="var(--line)" stroke-width="2"/>'
        f"{marks}</svg>"
    )


def _place(share: float) -> float:
    return 100 * max(0.0, (share - SPAN) / (1 - SPAN))


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.2f}"
