"""The rows of diagnostics, one file a noun."""

from diagnostics.models.analysis import Analysis, AnalysisState, FoundCells, Outcome, Priority
from diagnostics.models.control import ControlRun, ControlSlide, ControlState
from diagnostics.models.dicom import DicomInstance
from diagnostics.models.hold import Hold, HoldReason, MixUp, Settlement, Side
from diagnostics.models.image import FieldImage, ImageState
from diagnostics.models.looking import CellCall, CellLabel, FieldSeen, HeatMap, HeatMapState
from diagnostics.models.own_call import OwnCall
from diagnostics.models.package import ModelPackage, PackageState
from diagnostics.models.reading_rule import ReadingRule
from diagnostics.models.receipt import Receipt
from diagnostics.models.reference import ReferenceField
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
    ModelReading,
    ReportStatus,
    ReportVersion,
    Stage,
    Urgency,
)
from diagnostics.models.specimen import Specimen, Stain
from diagnostics.models.tally import DayTally
from diagnostics.models.upload import Upload
from diagnostics.models.view import SavedView

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
    "ModelReading",
    "Outcome",
    "OwnCall",
    "PackageState",
    "Priority",
    "ReadingRule",
    "Receipt",
    "ReferenceField",
    "ReleaseRule",
    "ReleaseWay",
    "ReleaseWish",
    "ReportStatus",
    "ReportVersion",
    "SavedView",
    "Settlement",
    "Side",
    "Specimen",
    "Stage",
    "Stain",
    "Upload",
    "Urgency",
    "Wish",
]
