"""Who has looked at a patient's record, for the patient: from the audit trail, in plain words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hospital.accounts.models import Clinic, Membership
from hospital.audit.models import Entry
from patients.models import PortalAccess

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

PAGE = 25
# By the name of the deed; whatever else ends in '.read' is some part of the record.
_DEEDS: dict[str, StrOrPromise] = {
    "report.read": gettext_lazy("Looked at a report"),
    "report.read_in_portal": gettext_lazy("Read a report in the portal"),
    "report.printed": gettext_lazy("Opened a report as PDF"),
    "patient.read": gettext_lazy("Looked at the personal data"),
    "specimen.read": gettext_lazy("Looked at a blood sample’s data"),
    "image.read": gettext_lazy("Looked at a picture"),
    "analysis.read": gettext_lazy("Looked at what the computer found"),
}
_READS = Q(action__endswith=".read") | Q(action__in=list(_DEEDS))


@dataclass(frozen=True)
class Look:
    """One time that somebody looked.

    Attributes:
        who: their name as it was then.
        part: what they are: their roles and clinic, or what they are to the patient; '' when
            they are no longer anything here.
        own: whether it was the reader of this page.
    """

    at: datetime
    who: str
    part: str
    deed: str
    own: bool


def looks_at(patient_id: UUID, *, reader: Any, before: int | None = None) -> tuple[list[Look], int]:
    """A page of who looked, the newest first; `reader` has been found to be of the family.

    Args:
        before: the id where the page before ended; None for the first.

    Returns:
        The looks, and the id to go on from; 0 when there are no more.
    """
    rows = Entry.objects.filter(_READS, patient_id=patient_id).order_by("-id")
    if before is not None:
        rows = rows.filter(id__lt=before)
    entries = list(rows[: PAGE + 1])
    page = entries[:PAGE]
    parts = _parts(page, patient_id)
    looks = [
        Look(
            at=entry.at,
            who=entry.actor_name,
            part=parts.get((entry.actor_id, entry.clinic_id), ""),
            deed=str(_DEEDS.get(entry.action, _("Looked at the record"))),
            own=entry.actor_id == str(reader.pk),
        )
        for entry in page
    ]
    return looks, page[-1].pk if len(entries) > PAGE else 0


def _parts(entries: Sequence[Entry], patient_id: UUID) -> dict[tuple[str, Any], str]:
    """What those who looked are, by their id and the clinic of what they looked at."""
    people = {UUID(entry.actor_id) for entry in entries if entry.actor_id}
    clinics = {entry.clinic_id for entry in entries if entry.clinic_id}
    parts: dict[tuple[str, Any], list[str]] = {}
    for link in PortalAccess.objects.filter(patient=patient_id, user__in=people):
        for clinic_id in clinics:
            said = parts.setdefault((str(link.user_id), clinic_id), [])
            if link.get_relation_display() not in said:
                said.append(link.get_relation_display())
    roles = Membership.objects.filter(user__in=people, clinic__in=clinics)
    for role in roles.order_by("role"):
        parts.setdefault((str(role.user_id), role.clinic_id), []).append(role.get_role_display())
    names = dict(Clinic.objects.filter(pk__in=clinics).values_list("pk", "name"))
    staff = {(str(role.user_id), role.clinic_id) for role in roles}
    return {
        key: ", ".join([*said, *([names[key[1]]] if key in staff else [])])
        for key, said in parts.items()
    }
