"""Whose picture an object says it is, and when it was taken."""

from datetime import UTC, date, datetime, timedelta
from datetime import timezone as fixed_zone

from django.utils import timezone
from pydicom.dataset import Dataset

from diagnostics.dicom.objects import items, text
from diagnostics.dicom.refusals import Contradiction


def accession_of(dataset: Dataset) -> str:
    """What the object says the label on the slide says; '' when it says nothing.

    Container Identifier, each Specimen Identifier and Accession Number are all taken for the
    label: those that are there must be one and the same.

    Raises:
        Contradiction: they are not.
    """
    described = items(dataset, "SpecimenDescriptionSequence")
    labels = {text(item, "SpecimenIdentifier") for item in described}
    labels |= {text(dataset, "ContainerIdentifier"), text(dataset, "AccessionNumber")}
    labels.discard("")
    if len(labels) > 1:
        raise Contradiction(
            "The object's Container Identifier, Specimen Identifiers and Accession Number differ, "
            "so whose it is would be a guess. Correct it at the microscope and send it again.",
            code="accession_disagrees",
        )
    return labels.pop() if labels else ""


def patient_id_of(dataset: Dataset) -> str:
    """The medical record number in the object; '' when it has none."""
    return text(dataset, "PatientID")


def captured_at_of(dataset: Dataset) -> datetime | None:
    """When the picture was taken, as UTC; None where the object does not say it readably.

    Times without an offset are those of the hospital's time zone.
    """
    moments = [text(dataset, "AcquisitionDateTime")]
    for kind in ("Acquisition", "Content"):
        day, time = text(dataset, f"{kind}Date"), text(dataset, f"{kind}Time")
        moments.append(day + time if day and time else "")
    said = next((moment for moment in moments if moment), "")
    try:
        return _moment(said, text(dataset, "TimezoneOffsetFromUTC")) if said else None
    except (ValueError, OverflowError):
        return None


def _moment(said: str, zone: str) -> datetime:
    """A DICOM DT, 'YYYYMMDDHHMMSS.FFFFFF&ZZXX', its last parts optional but for the seconds."""
    plain, mark, offset = said.partition("+") if "+" in said else said.partition("-")
    whole, _, fraction = plain.strip().partition(".")
    moment = datetime.strptime(whole, "%Y%m%d%H%M%S")
    moment = moment.replace(microsecond=int(fraction[:6].ljust(6, "0")) if fraction else 0)
    offset = mark + offset if offset else zone
    if not offset:
        return timezone.make_aware(moment).astimezone(UTC)
    sign, hours, minutes = offset[0], int(offset[1:3]), int(offset[3:5])
    if sign not in "+-":
        raise ValueError("no zone")
    east = timedelta(hours=hours, minutes=minutes) * (-1 if sign == "-" else 1)
    return moment.replace(tzinfo=fixed_zone(east)).astimezone(UTC)


def study_date_of(dataset: Dataset) -> date | None:
    """Study Date, None where it is missing or unreadable."""
    try:
        return datetime.strptime(text(dataset, "StudyDate"), "%Y%m%d").date()
    except ValueError:
        return None
