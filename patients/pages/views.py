"""An invitation, step by step: the link, the birth date, an account, the portal.

Public: whoever comes has no account yet. The link's secret goes into the session and out of the
address at once. What a page of an invitation says before the birth date is the same for all.
"""

import uuid
from typing import Any

from django.contrib.auth import login
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from hospital.accounts.models import User
from hospital.accounts.signin import newcomers
from hospital.base.problems import Refusal
from patients import invitations
from patients.models import Invitation
from patients.pages.forms import AccountForm, BirthDateForm

# In the session: which invitation, whether the birth date was right, the id of the account that
# a passkey made on the page is for.
WHICH, PROVED, NEWCOMER = "invitation", "invitation_proved", "invitation_account"
BACKEND = "django.contrib.auth.backends.ModelBackend"


@login_not_required
@never_cache
@require_safe
def follow(request: HttpRequest, secret: str) -> HttpResponse:
    """The link on the sheet."""
    try:
        invitation = invitations.by_secret(secret)
    except invitations.NoSuchInvitation as refusal:
        return _not_valid(request, refusal)
    _forget(request)
    request.session[WHICH] = str(invitation.pk)
    return redirect("invitation")


@login_not_required
@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def accept(request: HttpRequest) -> HttpResponse:
    """The birth date first, then the account."""
    try:
        invitation = invitations.by_id(request.session.get(WHICH))
        if not request.session.get(PROVED):
            return _birth_date(request, invitation)
        if request.user.is_authenticated:
            return _with_own_account(request, invitation)
        return _with_new_account(request, invitation)
    except invitations.NoSuchInvitation as refusal:
        return _not_valid(request, refusal)


def _birth_date(request: HttpRequest, invitation: Invitation) -> HttpResponse:
    form = BirthDateForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            invitations.prove(invitation, form.cleaned_data["birth_date"])
        except invitations.WrongBirthDate as refusal:
            form.add_error(None, refusal.detail)
        else:
            request.session[PROVED] = True
            return redirect("invitation")
    return render(request, "invitations/birth_date.html", {"form": form})


def _with_own_account(request: HttpRequest, invitation: Invitation) -> HttpResponse:
    if request.method == "POST":
        try:
            invitations.accept(user=request.user, invitation=invitation)
        except Refusal as refusal:
            return _not_valid(request, refusal)
        _forget(request)
        return redirect("portal")
    return render(request, "invitations/own_account.html", {"invitation": invitation})


def _with_new_account(request: HttpRequest, invitation: Invitation) -> HttpResponse:
    newcomer = request.session.setdefault(NEWCOMER, str(uuid.uuid4()))
    form = AccountForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            user = _open_account(request, invitation, form.cleaned_data)
        except ValidationError as error:
            form.add_error(None, error)
        except Refusal as refusal:
            form.add_error(None, refusal.detail)
        else:
            _forget(request)
            login(request, user, backend=BACKEND)
            return redirect("portal")
    options = newcomers.passkey_options(uuid.UUID(newcomer))
    context = {"form": form, "invitation": invitation, "passkey": options}
    return render(request, "invitations/new_account.html", context)


def _open_account(request: HttpRequest, invitation: Invitation, given: dict[str, Any]) -> User:
    return newcomers.open_account(
        pk=uuid.UUID(request.session[NEWCOMER]),
        username=given["username"],
        full_name=given["full_name"],
        password=given["password"],
        credential=given["credential"],
        then=lambda user: invitations.accept(user=user, invitation=invitation),
    )


def _not_valid(request: HttpRequest, refusal: Refusal) -> HttpResponse:
    _forget(request)
    return render(request, "invitations/not_valid.html", {"refusal": refusal}, status=404)


def _forget(request: HttpRequest) -> None:
    for name in (WHICH, PROVED, NEWCOMER):
        request.session.pop(name, None)
