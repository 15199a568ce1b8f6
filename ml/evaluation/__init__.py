"""How good the model is, and how sure of that one can be.

`metrics` figures, `intervals` how sure they are, `curves` what lies behind them (all NumPy
alone); `predictions` what experiments leave behind; `figures` and `report` draw and tell it
(matplotlib: imported only where asked for).
"""

from ml.evaluation.intervals import NEW_BATCH, Batch
from ml.evaluation.metrics import (
    LEAK_WARNING,
    Answers,
    NothingToMeasure,
    by_group,
    confusion,
    measure,
    operating_point,
    per_class,
    values,
)

__all__ = [
    "LEAK_WARNING",
    "NEW_BATCH",
    "Answers",
    "Batch",
    "NothingToMeasure",
    "by_group",
    "confusion",
    "measure",
    "operating_point",
    "per_class",
    "values",
]
