"""The rows of diagnostics, one file a noun."""

from diagnostics.models.analysis import Analysis, AnalysisState, FoundCells, Outcome, Priority
from diagnostics.models.image import FieldImage, ImageState
from diagnostics.models.report import (
    Certainty,
    Conclusion,
    DiagnosticReport,
    ReportStatus,
    ReportVersion,
    Stage,
    Urgency,
)
from diagnostics.models.specimen import Specimen, Stain

__all__ = [
    "Analysis",
    "AnalysisState",
    "Certainty",
    "Conclusion",
    "DiagnosticReport",
    "FieldImage",
    "FoundCells",
    "ImageState",
    "Outcome",
    "Priority",
    "ReportStatus",
    "ReportVersion",
    "Specimen",
    "Stage",
    "Stain",
    "Urgency",
]
