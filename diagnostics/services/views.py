"""Saved views of the worklist: kept under a name, opened first, lent to a clinic, forgotten."""

from typing import Any

from django.db import transaction

from diagnostics.models import SavedView
from hospital.accounts.models import Clinic
from hospital.accounts.selectors import may
from hospital.audit.services import Actor, record
from hospital.base.problems import Conflict, Forbidden, Refusal

MOST = 20  # of one person: more is no help


@transaction.atomic
def save_view(
    *,
    user: Any,
    name: str,
    query: str,
    searches: bool = False,
    clinic: Clinic | None = None,
    opens_first: bool = False,
) -> SavedView:
    """Keep a view of `user` under `name`; one of that name is replaced.

    Args:
        query: of the worklist's address, without a page.
        searches: whether there are words to search for in it; they may name a patient.
        clinic: whose readers see it, too.
        opens_first: instead of the one that did so far.

    Raises:
        Refusal: it has no name, or words to search for and others to see them.
        Forbidden: `user` does not read in `clinic`.
        Conflict: they have `MOST` of them already.
    """
    name = " ".join(name.split())[:40]
    if not name:
        raise Refusal("Give the view a name.", code="view_without_name")
    if clinic and searches:
        raise Refusal(
            "A view with words to search for stays yours alone: they may name a patient. "
            "Empty the search box, then share it.",
            code="view_names_patient",
        )
    if clinic and not may(user, "diagnostics.view_diagnosticreport", clinic):
        raise Forbidden("Share it with a clinic in which you read cases.")
    own = SavedView.objects.select_for_update().filter(owner=user)
    if opens_first:
        own.update(opens_first=False)
    if not own.filter(name=name).exists() and own.count() >= MOST:
        raise Conflict(f"You have {MOST} views. Forget one first.", code="views_full")
    values = {"query": query, "clinic": clinic, "opens_first": opens_first}
    view, _ = SavedView.objects.update_or_create(owner=user, name=name, defaults=values)
    _note(user, "view.saved", view)
    return view


@transaction.atomic
def open_first(*, user: Any, view: SavedView) -> None:
    """Let the worklist open with the view, one of `user`'s own; or, if it does, no more.

    Raises:
        Forbidden: it is somebody else's.
    """
    _ensure_own(user, view)
    wanted = not view.opens_first
    SavedView.objects.filter(owner=user).update(opens_first=False)
    SavedView.objects.filter(pk=view.pk).update(opens_first=wanted)
    _note(user, "view.opens_first" if wanted else "view.opens_no_more", view)


@transaction.atomic
def forget_view(*, user: Any, view: SavedView) -> None:
    """Delete the view, one of `user`'s own, for all who saw it.

    Raises:
        Forbidden: it is somebody else's.
    """
    _ensure_own(user, view)
    _note(user, "view.forgotten", view)
    view.delete()


def _ensure_own(user: Any, view: SavedView) -> None:
    if view.owner_id != user.pk:
        raise Forbidden("Only who saved a view can change it. Save your own.")


def _note(user: Any, action: str, view: SavedView) -> None:
    """Its name stays out of the trail: people write anything there."""
    record(Actor.user(user), action, view, clinic_id=view.clinic_id)
