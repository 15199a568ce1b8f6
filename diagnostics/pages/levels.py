"""The reading level of somebody in the portal: chosen by a link, remembered by the browser."""

from django.http import HttpRequest, HttpResponse

from diagnostics.plain_words import LEVELS, PLAIN

COOKIE = "leukolens_level"
_YEAR = 365 * 24 * 3600


def level_of(request: HttpRequest) -> str:
    """The level asked for, else the one remembered, else plain."""
    wanted = (request.GET.get("level", ""), request.COOKIES.get(COOKIE, ""))
    return next((level for level in wanted if level in LEVELS), PLAIN)


def remember_level(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Keep a level that was just chosen for the next time; it tells nothing of the patient."""
    if request.GET.get("level", "") in LEVELS:
        response.set_cookie(
            COOKIE,
            request.GET["level"],
            max_age=_YEAR,
            secure=request.is_secure(),
            httponly=True,
            samesite="Lax",
        )
    return response
