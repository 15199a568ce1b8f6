"""How a family wants to learn of results, as it says itself in the portal.

What it can choose lies within the clinic's rule: as soon as that allows, or later. That no report
shall stand in the portal at all is for the clinic to note, because it takes the reports from
everybody who reads them; the family can take it back.
"""

from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from diagnostics.models import ReleaseWish, Wish
from diagnostics.services import release
from hospital.audit.services import Actor
from hospital.base.problems import NotFound, Refusal
from patients.selectors import live_access

FOR_FAMILIES = (Wish.AS_RULE, Wish.AFTER_CALL)


@transaction.atomic
def choose(*, user: Any, patient_id: UUID, wish: str) -> ReleaseWish:
    """Store what the patient, or a guardian for them, wishes; it holds for all who read.

    Raises:
        NotFound: `user` does not read about this patient in the portal.
        Refusal: not one of FOR_FAMILIES.
    """
    link = live_access(user).filter(patient_id=patient_id).select_related("patient").first()
    if link is None:
        raise NotFound(_("There is nothing here"))
    if wish not in FOR_FAMILIES:
        raise Refusal(_("Choose one of the ways."), code="unknown_wish")
    return release.set_wish(actor=Actor.user(user), patient=link.patient, wish=wish)
