"""What lies under a microscope: whose slide a label names, and whether pictures of it are taken."""

from collections.abc import Collection, Mapping

from django.db import connection

from devices.models import Device
from diagnostics.models import ControlSlide, Specimen
from diagnostics.models.report import WITHDRAWN
from hospital.base.problems import Conflict, Forbidden, NotFound
from hospital.base.rows import rows_by

Slide = Specimen | ControlSlide

# Asked along with the specimen: whether its report was withdrawn.
_STATUS = """(
    SELECT status FROM diagnostics_diagnosticreport AS report
    WHERE report.specimen_id = diagnostics_specimen.id
)"""


# Some file is to go: asked along, for a question of its own would cost every upload one.
_STILL_OPEN = """
    SELECT accession, EXISTS (SELECT 1 FROM diagnostics_filetoremove)
    FROM diagnostics_specimen WHERE accession IN ({}) AND closed_at IS NULL ORDER BY id
"""


def shown(labels: Collection[str]) -> dict[str, Slide]:
    """The specimens that there are, by accession number; of other labels, the control slides."""
    # What cannot be printed is no accession number, and a database may refuse to look for it.
    wanted = {label for label in labels if label and label.isprintable()}
    if not wanted:
        return {}
    specimens = rows_by(Specimen, "accession", wanted, also={"report_status": _STATUS})
    found: dict[str, Slide] = {specimen.accession: specimen for specimen in specimens}
    if left := wanted - set(found):
        slides = ControlSlide.objects.filter(label__in=left).order_by()
        found |= {slide.label: slide for slide in slides}
    return found


def ensure_usable(shown: Mapping[str, Slide], accession: str, device: Device) -> Slide:
    """The slide that `accession` names, if `device` may send pictures of it now.

    Raises:
        NotFound: no label was sent ('accession_missing'), or none is known by it.
        Forbidden: it belongs to another clinic.
        Conflict: the specimen is closed, or the control slide withdrawn.
    """
    if not accession:
        raise NotFound(
            "Say which specimen this is: send the header 'Accession-Number'.",
            code="accession_missing",
        )
    slide = shown.get(accession)
    if slide is None:
        raise NotFound(
            "No specimen has this accession number. Check the label, or register the specimen "
            "first and send the picture again.",
            code="unknown_accession",
        )
    if slide.clinic_id != device.clinic_id:
        raise Forbidden(
            "This specimen belongs to another clinic than the microscope.",
            code="other_clinic",
        )
    if isinstance(slide, ControlSlide):
        if slide.withdrawn_at:
            raise Conflict(
                "This control slide is out of use. Show the one that replaces it.",
                code="control_slide_withdrawn",
            )
    elif slide.closed_at or slide.report_status in WITHDRAWN:  # type: ignore[attr-defined]
        raise closed()
    return slide


def closed() -> Conflict:
    """What whoever sends a picture of a closed specimen is told."""
    return Conflict(
        "This specimen is closed: no more pictures are taken in for it. Check the label, or "
        "have a technician open it again, then send the picture again.",
        code="specimen_closed",
    )


def still_open(labels: Collection[str]) -> tuple[set[str], bool]:
    """The labels of specimens that are neither closed nor erased, until the transaction ends.

    Who closes or erases one waits for that, or has been before, and then it is not among them.

    Returns:
        The labels, and whether any file at all is to be removed (`removal`).
    """
    if not labels:
        return set(), False
    places = ", ".join(["%s"] * len(labels))
    lock = " FOR SHARE" if connection.features.has_select_for_update else ""
    with connection.cursor() as cursor:
        cursor.execute(_STILL_OPEN.format(places) + lock, [*labels])
        rows = cursor.fetchall()
    return {label for label, _ in rows}, any(going for _, going in rows)
