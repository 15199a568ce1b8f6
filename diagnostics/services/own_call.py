"""Own call first: what a reader says before the model's word is shown to them.

`hides` is the one rule. Whatever shows something of the model's to staff asks it, or gives its
rows through `veil`, which does: pages and their parts, cells, heat maps, lists, the API, drafts on
paper. What the gate measured of a picture and where cells were found is no opinion, and stays.
"""

from collections.abc import Iterable, Sequence
from copy import copy
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from diagnostics.models import (
    Analysis,
    Conclusion,
    DiagnosticReport,
    FieldImage,
    Outcome,
    OwnCall,
    ReportStatus,
)
from diagnostics.models.report import UNSIGNED
from diagnostics.services import critical
from diagnostics.services.report_row import audit, locked
from hospital.accounts.guards import ensure_may
from hospital.accounts.selectors import clinic_topic
from hospital.audit.services import Actor
from hospital.base.problems import Conflict, Refusal
from hospital.live.services import publish

# What the model says of a picture; everything else an analysis may become is the gate's word.
_OPINIONS = (Outcome.CLASSIFIED, Outcome.UNFAMILIAR)


# --- the rule ---------------------------------------------------------------------------------


def hides(user: Any, report: DiagnosticReport) -> bool:
    """Whether the model's part of `report` is hidden from `user`.

    It is where the clinic wants each reader's own call first, as long as nobody has signed and
    `user` has made none, whatever their role.
    """
    return report.pk in _hidden(user, [report])


def hidden_from(user: Any, to_report: str = "") -> Q:
    """The rows whose report's model part is hidden from `user`, for a query.

    Args:
        to_report: the path from the rows to their report, with '__' at its end.
    """
    called = OwnCall.objects.filter(report=OuterRef(f"{to_report}pk"), by=user)
    blind = {f"{to_report}blind": True, f"{to_report}status__in": UNSIGNED}
    return Q(**blind) & ~Q(Exists(called))


def ensure_called(user: Any, report: DiagnosticReport) -> None:
    """Pass whoever may be shown what the model says.

    Raises:
        Conflict: their own call comes first ('own_call_first').
    """
    if hides(user, report):
        raise Conflict(
            "This clinic wants your own call first. Say on the case page what you see; then the "
            "model’s reading is shown, and you can go on.",
            code="own_call_first",
        )


def _hidden(user: Any, reports: Iterable[DiagnosticReport]) -> set[UUID]:
    blind = {one.pk for one in reports if one.blind and one.status in UNSIGNED}
    if not blind:
        return blind
    called = OwnCall.objects.filter(by=user, report__in=blind).order_by()
    return blind - set(called.values_list("report_id", flat=True))


# --- without the model's word -----------------------------------------------------------------


def veil(user: Any, reports: Iterable[DiagnosticReport]) -> list[DiagnosticReport]:
    """`reports` as `user` may be shown them: copies without the model's word where it is hidden."""
    rows = list(reports)
    hidden = _hidden(user, rows)
    return [_veiled(row) if row.pk in hidden else row for row in rows]


def veil_fields(images: Iterable[FieldImage]) -> list[FieldImage]:
    """Pictures with their `latest_analyses`, as `selectors.images_with_analyses` gives them,
    without what the model says of them."""
    rows = list(images)
    for image in rows:
        runs: list[Analysis] = image.latest_analyses  # type: ignore[attr-defined]
        image.latest_analyses = [_silenced(run) for run in runs]  # type: ignore[attr-defined]
    return rows


def _veiled(report: DiagnosticReport) -> DiagnosticReport:
    row = copy(report)
    row.veiled = True
    row.impression = row.certainty = ""
    # When a family may read follows a rule that may be about what the model says.
    row.portal_from = row.released_at = None
    fields = dict(report.findings.get("fields", {}))
    fields["classified"] = fields.get("classified", 0) + fields.pop("unfamiliar", 0)
    silence = {"probabilities": None, "leading": "", "certainty": "", "dissent": 0}
    row.findings = report.findings | silence | {"fields": fields}
    return row


def _silenced(analysis: Analysis) -> Analysis:
    if analysis.outcome not in _OPINIONS:
        return analysis
    row = copy(analysis)
    row.outcome = row.label = ""
    row.probabilities = row.familiarity = None
    return row


# --- the call ---------------------------------------------------------------------------------


@transaction.atomic
def commit(*, user: Any, report: DiagnosticReport, call: str) -> OwnCall:
    """Keep what `user` says of the report, for good; from now on the model's word is theirs to see.

    Args:
        call: a `Conclusion`; 'undetermined' says that they cannot tell.

    Raises:
        Forbidden: `user` may not call cases in this clinic.
        Refusal: `call` is none.
        Conflict: nothing can be called yet, it is signed, or the call is made already.
    """
    ensure_may(user, "diagnostics.add_owncall", report.clinic_id, "call cases")
    if call not in Conclusion.values:
        raise Refusal("Choose what you see before you go on.", code="call_missing")
    report = locked(pk=report.pk)
    _ensure_open(user, report)
    made = OwnCall.objects.create(
        report=report,
        by=user,
        call=call,
        version=report.version,
        package=", ".join(report.findings.get("packages", []))[:200],
        impression=report.impression,
        certainty=report.certainty,
    )
    audit(Actor.user(user), "report.called", report, call=call)
    critical.judge(report)
    topics = [clinic_topic(report.clinic_id)]
    publish("report.looked_at", report.pk, version=report.version, topics=topics)
    return made


def own_call(user: Any, report: DiagnosticReport) -> OwnCall | None:
    """What `user` has said of the report."""
    return OwnCall.objects.filter(report=report, by=user).first()


def _ensure_open(user: Any, report: DiagnosticReport) -> None:
    if report.status not in UNSIGNED or not report.blind:
        raise Conflict(
            "What the model says of this report is open already; a call would be none of your own.",
            code="open_already",
        )
    if report.status == ReportStatus.REGISTERED:
        raise Conflict("There is no picture to call yet. Wait for the first.", code="nothing_yet")
    if own_call(user, report):
        raise Conflict("You have made your call; it stays as it is.", code="called_already")


def calls_on(report: DiagnosticReport) -> Sequence[OwnCall]:
    """Every reader's call, in order; only for whoever is not to make one first."""
    return list(report.own_calls.select_related("by"))
