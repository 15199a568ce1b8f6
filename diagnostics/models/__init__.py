"""The rows of diagnostics, one file a noun."""

from diagnostics.models.analysis import Analysis, AnalysisState, FoundCells, Outcome, Priority
from diagnostics.models.control import ControlRun, ControlSlide, ControlState
from diagnostics.models.dicom import DicomInstance
from diagnostics.models.hold import Hold, HoldReason, MixUp, Settlement, Side
from diagnostics.models.image import FieldImage, ImageState
from diagnostics.models.looking import CellCall, CellLabel, FieldSeen, HeatMap, HeatMapState
from diagnostics.models.package import ModelPackage, PackageState
from diagnostics.models.receipt import Receipt
from diagnostics.models.release import (
    ConclusionGroup,
    ReleaseRule,
    ReleaseWay,
    ReleaseWish,
    Wish,
)
from diagnostics.models.report import (
    Certainty,
    Conclusion,
    DiagnosticReport,
    ReportStatus,
    ReportVersion,
    Stage,
    Urgency,
)
from diagnostics.models.signature import Deed, Rereading, Signature
from diagnostics.models.specimen import Specimen, Stain
from diagnostics.models.tally import DayTally
from diagnostics.models.upload import Upload

__all__ = [
    "Analysis",
    "AnalysisState",
    "CellCall",
    "CellLabel",
    "Certainty",
    "Conclusion",
    "ConclusionGroup",
    "ControlRun",
    "ControlSlide",
    "ControlState",
    "DayTally",
    "Deed",
    "DiagnosticReport",
    "DicomInstance",
    "FieldImage",
    "FieldSeen",
    "FoundCells",
    "HeatMap",
    "HeatMapState",
    "Hold",
    "HoldReason",
    "ImageState",
    "MixUp",
    "ModelPackage",
    "Outcome",
    "PackageState",
    "Priority",
    "Receipt",
    "ReleaseRule",
    "ReleaseWay",
    "ReleaseWish",
    "ReportStatus",
    "ReportVersion",
    "Rereading",
    "Settlement",
    "Side",
    "Signature",
    "Specimen",
    "Stage",
    "Stain",
    "Upload",
    "Urgency",
    "Wish",
]
