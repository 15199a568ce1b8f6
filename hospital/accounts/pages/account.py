"""The page of one's own account: second factors, password, and where one is signed in."""

from typing import Any

from allauth.account.decorators import reauthentication_required
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.forms import SetPasswordForm
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST, require_safe

from hospital.accounts import services
from hospital.accounts.signin import factors, identity, sessions
from hospital.accounts.signin.forms import NewPasswordForm
from hospital.audit.services import Actor


@never_cache
def account(request: HttpRequest) -> HttpResponse:
    """What protects the account, and where it is signed in."""
    user: Any = request.user
    own = list(Authenticator.objects.filter(user=user).order_by("created_at"))
    codes = next((a for a in own if a.type == Authenticator.Type.RECOVERY_CODES), None)
    return render(
        request,
        "accounts/account.html",
        {
            "app": next((a for a in own if a.type == Authenticator.Type.TOTP), None),
            "passkeys": [a for a in own if a.type == Authenticator.Type.WEBAUTHN],
            "codes": codes and len(codes.wrap().get_unused_codes()),
            "must": factors.is_missing(user, request.session),
            "sign_ins": sessions.sessions_of(user),
            "here": request.session.session_key,
            "idle_minutes": settings.SESSION_IDLE_MINUTES,
            "hours": settings.SESSION_HOURS,
        },
    )


@never_cache
@require_safe
def ask_passkey(request: HttpRequest) -> HttpResponse:
    """What the browser needs to ask for one of the account's passkeys, in the middle of a page."""
    return JsonResponse(identity.passkey_options(request.user))


@require_POST
def end_session(request: HttpRequest, pk: int) -> HttpResponse:
    """Sign out on one of one's devices."""
    user: Any = request.user
    sign_in = get_object_or_404(user.sign_ins, pk=pk)
    sessions.end(actor=Actor.user(user), sign_in=sign_in)
    messages.success(request, _("Signed out there."))
    return redirect("account")


@require_POST
def end_sessions(request: HttpRequest) -> HttpResponse:
    """Sign out everywhere, here too."""
    user: Any = request.user
    sessions.end_all(actor=Actor.user(user), user=user)
    request.session.flush()
    messages.success(request, _("You are signed out everywhere."))
    return redirect("login")


@never_cache
@sensitive_post_parameters()
def password(request: HttpRequest) -> HttpResponse:
    """Choose another password, with the old one; whoever has only a passkey proves that first."""
    user: Any = request.user
    return (_change if user.has_usable_password() else _choose_first)(request)


def _change(request: HttpRequest) -> HttpResponse:
    return _password_page(request, NewPasswordForm(request.user, request.POST or None))


@reauthentication_required(app="allauth.mfa")  # type: ignore[untyped-decorator]
def _choose_first(request: HttpRequest) -> HttpResponse:
    return _password_page(request, SetPasswordForm(request.user, request.POST or None))


def _password_page(request: HttpRequest, form: Any) -> HttpResponse:
    user: Any = request.user
    if request.method == "POST" and form.is_valid():
        before = request.session.session_key
        chosen = form.cleaned_data["new_password1"]
        services.set_password(actor=Actor.user(user), user=user, password=chosen, keep=before)
        update_session_auth_hash(request, user)
        sessions.carried_on(request, before)
        messages.success(request, _("Your password is changed. Other devices are signed out."))
        return redirect("account")
    return render(request, "accounts/password.html", {"form": form})
