"""What the case page says of the family: whether, when and why it can read the report."""

from typing import Any

from django.utils.translation import gettext as _

from diagnostics.models import DiagnosticReport
from diagnostics.selectors import receipts_of
from diagnostics.services import release
from diagnostics.words_of_release import Standing, standing_in_words


def family_context(user: Any, report: DiagnosticReport) -> dict[str, Any]:
    """What the 'Family' part of the case page shows to `user`."""
    return {
        "standing": _standing(report),
        "family_told": release.told(report),
        "receipts": [] if report.veiled else receipts_of(report)[:20],
    }


def _standing(report: DiagnosticReport) -> Standing:
    if report.veiled:  # the rule that holds follows from what the model says
        return Standing("closed", _("Shown after your own call"), None, "")
    return standing_in_words(
        report,
        rule=release.rule_for(report),
        wish=release.wish_of(report.patient_id),
        is_open=release.is_open(report),
    )
