"""Is this paper genuine? A public page that knows the digest of what was signed, and says no more.

Nothing about the patient, the clinic or the result: whoever finds a paper learns only whether it
still stands.
"""

import time
from uuid import UUID

from django import forms
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from diagnostics.models import ReportVersion
from diagnostics.models.report import WITHDRAWN
from diagnostics.selectors import signed_version
from diagnostics.services.snapshots import is_whole
from hospital.base.proxies import household, sender_of


class DigestForm(forms.Form):
    """The whole digest, as the foot of the paper says it."""

    digest = forms.CharField(max_length=200, strip=True)

    def clean_digest(self) -> str:
        """Without the blanks and capitals that typing brings."""
        digest = "".join(self.cleaned_data["digest"].split()).lower()
        if len(digest) != 64 or set(digest) - set("0123456789abcdef"):
            raise forms.ValidationError(
                _("A digest has 64 digits and letters from a to f. Copy it from the paper’s foot.")
            )
        return digest


@login_not_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def verify(request: HttpRequest, version_id: UUID, start: str) -> HttpResponse:
    """Whether the paper's digest is that of a signed report, and whether that still stands."""
    if wait := _seconds_to_wait(request):
        answer = render(request, "verify/busy.html", {"seconds": int(wait)}, status=429)
        answer["Retry-After"] = str(wait)
        return _for_nobodys_index(answer)
    version = signed_version(version_id, start.lower())
    if version is None:
        return _for_nobodys_index(render(request, "verify/unknown.html", status=404))
    form = DigestForm(request.POST if request.method == "POST" else None)
    same = None
    if form.is_valid():
        same = constant_time_compare(form.cleaned_data["digest"], version.sha256)
    context = {
        "standing": _standing(version),
        "version": version,
        "newest": version.report.versions.first(),
        "form": form,
        "same": same,
    }
    status = 422 if form.errors else 200
    return _for_nobodys_index(render(request, "verify/page.html", context, status=status))


def _standing(version: ReportVersion) -> str:
    """'damaged', 'withdrawn', 'superseded' or 'current'."""
    if not is_whole(version):
        return "damaged"
    if version.report.status in WITHDRAWN:
        return "withdrawn"
    later = version.report.versions.filter(version__gt=version.version)
    return "superseded" if later.exists() else "current"


def _seconds_to_wait(request: HttpRequest) -> int:
    """0, or how long until this address may ask again. Each web process counts for itself."""
    now = time.time()
    key = f"verify:{household(sender_of(request))}:{int(now // 60)}"
    cache.add(key, 0, timeout=120)
    try:
        asked = cache.incr(key)
    except ValueError:  # a full cache has thrown the count away: it begins anew
        asked = 1
    return 60 - int(now % 60) if asked > settings.VERIFICATIONS_PER_MINUTE else 0


def _for_nobodys_index(answer: HttpResponse) -> HttpResponse:
    answer["X-Robots-Tag"] = "noindex, nofollow"
    return answer
