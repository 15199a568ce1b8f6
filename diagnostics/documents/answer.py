"""A printed report as an HTTP answer."""

from django.http import HttpResponse

from diagnostics.services.printing import Printed

_ARMOUR = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    # A patient's paper is kept by nobody on the way, and not by a shared computer.
    "Cache-Control": "private, no-store",
}


def pdf_answer(printed: Printed) -> HttpResponse:
    """The PDF, to look at in the browser and to save under its name."""
    answer = HttpResponse(printed.content, content_type="application/pdf")
    answer["Content-Disposition"] = f'inline; filename="{printed.name}"'
    for header, value in _ARMOUR.items():
        answer[header] = value
    return answer
