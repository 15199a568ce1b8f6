"""Which language a page speaks: what a person chose, else what their browser asks for."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import translation


class OwnLanguage:
    """Speaks the language a signed-in person chose, on whichever device; Django's own looks no
    further than the browser.

    Staff get the house's: only the portal is complete in the others, and a page half in one
    language and half in another is worse than either.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Microscopes, with no cookie, cost nothing."""
        if settings.SESSION_COOKIE_NAME in request.COOKIES and request.user.is_authenticated:
            chosen = settings.LANGUAGE_CODE if request.user.is_staff else request.user.language
            if chosen in dict(settings.LANGUAGES):
                translation.activate(chosen)
                request.LANGUAGE_CODE = chosen
        return self.get_response(request)


def offered() -> list[tuple[str, str]]:
    """For a model's choices: a language more asks for no migration."""
    return list(settings.LANGUAGES)


def own_or(language: str, other: str) -> str:
    """`language` if there is such a one, else `other`, else the house's."""
    known = dict(settings.LANGUAGES)
    return next((code for code in (language, other) if code in known), settings.LANGUAGE_CODE)
