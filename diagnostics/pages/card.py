"""What is known of a model: its package's card, as it came with it."""

from itertools import pairwise

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.http import require_safe
from markdown_it import MarkdownIt

from hospital.accounts.selectors import clinics_where

# No HTML, link or picture of the card's own: what it says is text.
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table").disable(["link", "image"])


@require_safe
def model_card(request: HttpRequest, digest: str) -> HttpResponse:
    """The card of the package with this digest; 404 for one that is not on this machine."""
    if not clinics_where(request.user, "diagnostics.view_analysis").exists():
        raise PermissionDenied("Model cards are for those who read cases.")
    from diagnostics.services import packages  # noqa: PLC0415 - brings NumPy, seldom needed

    if not (found := packages.card_of(digest)):
        raise Http404
    package, card = found
    return render(request, "diagnostics/card.html", {"package": package, "text": _as_html(card)})


def _as_html(card: str) -> SafeString:
    tokens = _MARKDOWN.parse(card)
    for token, following in pairwise(tokens):
        token.attrs.pop("style", None)  # an aligned column's, which our policy refuses
        if token.type == "table_open":
            token.attrSet("tabindex", "0")  # a wide one is scrolled, by keyboard, too
        if token.type == "th_open" and not following.content:
            token.tag = "td"  # an empty corner heads nothing
    html: str = _MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {})
    return mark_safe(html)  # noqa: S308
