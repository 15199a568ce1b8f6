"""At every request: is the session over, and does somebody lack a second factor they must have."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from hospital.accounts.signin import factors, sessions
from hospital.base.api import PROBLEM_JSON, problem_of
from hospital.base.problems import Forbidden

# What somebody may open who has yet to set up a second factor, beside what is public.
ON_THE_WAY = frozenset(
    {
        "logout",
        "account",
        "mfa_activate_totp",
        "mfa_add_webauthn",
        "mfa_view_recovery_codes",
        "mfa_download_recovery_codes",
        "account_reauthenticate",
        "mfa_reauthenticate",
        "mfa_reauthenticate_webauthn",
    }
)


class SecondFactorMissing(Forbidden):
    """Staff have to set up an authenticator app or a passkey first."""

    code = "second_factor_required"


class SignInGuard:
    """Ends sessions that are over and leads staff to a second factor, before any view."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Nothing yet: which view is meant is known only later."""
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Any, args: Any, kwargs: Any
    ) -> HttpResponse | None:
        """Let pass, sign out, or lead elsewhere. Microscopes, with no cookie, cost nothing."""
        if settings.SESSION_COOKIE_NAME not in request.COOKIES or request.user.is_anonymous:
            return None
        if not sessions.is_within_limits(request.session):
            logout(request)
            messages.info(request, _("You were signed out after a while. Sign in again."))
            return None  # the view's own rule for whoever is not signed in does the rest
        name = request.resolver_match.url_name or "" if request.resolver_match else ""
        # Pages that refresh themselves (`…-live`) are nobody's click.
        if not name.endswith("-live"):
            sessions.seen(request)
        return self._led_to_second_factor(request, view, name)

    def _led_to_second_factor(
        self, request: HttpRequest, view: Any, name: str
    ) -> HttpResponse | None:
        user, session = request.user, request.session
        if not settings.STAFF_MFA_REQUIRED or not user.is_staff or session.get(factors.HAS_ONE):
            return None
        if not factors.is_missing(user, session):
            session[factors.HAS_ONE] = True
            return None
        if request.path.startswith("/api/"):
            refusal = SecondFactorMissing(
                _("Set up an authenticator app or a passkey first, on the page of your account.")
            )
            body = problem_of(refusal)
            return JsonResponse(body, status=refusal.status, content_type=PROBLEM_JSON)
        if name in ON_THE_WAY:
            return None
        return redirect("account")
