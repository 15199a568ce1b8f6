"""How good the model is, and how sure of that one can be.

Figures (`metrics`) need NumPy alone.
"""

from ml.evaluation.metrics import (
    LEAK_WARNING,
    Answers,
    accuracy,
    confusion,
    macro_f1,
    measure,
    sensitivity,
    slide_accuracy,
    specificity,
)

__all__ = [
    "LEAK_WARNING",
    "Answers",
    "accuracy",
    "confusion",
    "macro_f1",
    "measure",
    "sensitivity",
    "slide_accuracy",
    "specificity",
]
