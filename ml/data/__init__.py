"""The smears: what is there, what it is worth, and which part each slide belongs to."""

from ml.data.index import DataUnreadable, Example, Report, class_of, read_index, silent
from ml.data.splits import (
    SEED,
    SHARES,
    By,
    DataLeaks,
    Fold,
    Part,
    Split,
    folds,
    forbid_leaks,
    paper_split,
    split,
    summary,
    units_of,
    weights_by_group,
)

__all__ = [
    "SEED",
    "SHARES",
    "By",
    "DataLeaks",
    "DataUnreadable",
    "Example",
    "Fold",
    "Part",
    "Report",
    "Split",
    "class_of",
    "folds",
    "forbid_leaks",
    "paper_split",
    "read_index",
    "silent",
    "split",
    "summary",
    "units_of",
    "weights_by_group",
]
