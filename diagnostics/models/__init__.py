"""The rows of diagnostics, one file a noun."""

from diagnostics.models.analysis import Analysis, AnalysisState, FoundCells, Outcome, Priority
from diagnostics.models.control import ControlRun, ControlSlide, ControlState
from diagnostics.models.dicom import DicomInstance
from diagnostics.models.hold import Hold, HoldReason, MixUp, Settlement, Side
from diagnostics.models.image import FieldImage, ImageState
from diagnostics.models.package import ModelPackage, PackageState
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
from diagnostics.models.tally import DayTally
from diagnostics.models.upload import Upload

__all__ = [
    "Analysis",
    "AnalysisState",
    "Certainty",
    "Conclusion",
    "ControlRun",
    "ControlSlide",
    "ControlState",
    "DayTally",
    "DiagnosticReport",
    "DicomInstance",
    "FieldImage",
    "FoundCells",
    "Hold",
    "HoldReason",
    "ImageState",
    "MixUp",
    "ModelPackage",
    "Outcome",
    "PackageState",
    "Priority",
    "ReportStatus",
    "ReportVersion",
    "Settlement",
    "Side",
    "Specimen",
    "Stage",
    "Stain",
    "Upload",
    "Urgency",
]
