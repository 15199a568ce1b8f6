"""The rows of diagnostics, one file a noun."""

from diagnostics.models.analysis import Analysis, AnalysisState, FoundCells, Outcome, Priority
from diagnostics.models.control import ControlRun, ControlSlide, ControlState
from diagnostics.models.critical import (
    CallBack,
    CallBackState,
    CallEnd,
    ContactTry,
    CriticalFinding,
    CriticalSource,
    Escalation,
    EscalationStep,
    Recipient,
)
from diagnostics.models.dicom import DicomInstance
from diagnostics.models.hold import Hold, HoldReason, MixUp, Settlement, Side
from diagnostics.models.image import FieldImage, ImageState
from diagnostics.models.looking import CellCall, CellLabel, FieldSeen, HeatMap, HeatMapState
from diagnostics.models.own_call import OwnCall
from diagnostics.models.package import ModelPackage, PackageState
from diagnostics.models.reading_rule import CriticalFrom, ReadingRule
from diagnostics.models.receipt import Receipt
from diagnostics.models.reference import ReferenceField
from diagnostics.models.release import (
    ConclusionGroup,
    ReleaseRule,
    ReleaseWay,
    ReleaseWish,
    Wish,
)
from diagnostics.models.removal import FileToRemove
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
from diagnostics.models.signature import Deed, Rereading, Signature
from diagnostics.models.specimen import Specimen, Stain
from diagnostics.models.tally import DayTally
from diagnostics.models.upload import Upload
from diagnostics.models.view import SavedView

__all__ = [
    "Analysis",
    "AnalysisState",
    "CallBack",
    "CallBackState",
    "CallEnd",
    "CellCall",
    "CellLabel",
    "Certainty",
    "Conclusion",
    "ConclusionGroup",
    "ContactTry",
    "ControlRun",
    "ControlSlide",
    "ControlState",
    "CriticalFinding",
    "CriticalFrom",
    "CriticalSource",
    "DayTally",
    "Deed",
    "DiagnosticReport",
    "DicomInstance",
    "Escalation",
    "EscalationStep",
    "FieldImage",
    "FieldSeen",
    "FileToRemove",
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
    "Recipient",
    "ReferenceField",
    "ReleaseRule",
    "ReleaseWay",
    "ReleaseWish",
    "ReportStatus",
    "ReportVersion",
    "Rereading",
    "SavedView",
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
