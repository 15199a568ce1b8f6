"""What a clinic asks of its readers; stored through here, so that it holds at once."""

from collections.abc import Iterable
from uuid import UUID

from django.db import transaction

from diagnostics.models import DiagnosticReport, ReadingRule
from diagnostics.models.report import UNSIGNED
from hospital.accounts.models import Clinic
from hospital.accounts.selectors import clinic_topic
from hospital.audit.services import Actor, record
from hospital.live.services import publish


def rule_of(clinic: Clinic) -> ReadingRule:
    """The clinic's rule; one that is not stored, with every default, where it has none."""
    return getattr(clinic, "reading_rule", None) or ReadingRule(clinic=clinic)


def rule_in(clinic_id: UUID) -> ReadingRule:
    """`rule_of` a clinic of which only the id is at hand, as it stands in the database now."""
    return rules_in([clinic_id])[clinic_id]


def rules_in(clinics: Iterable[UUID]) -> dict[UUID, ReadingRule]:
    """`rule_in` for each of several."""
    wanted = set(clinics)
    stored = {rule.clinic_id: rule for rule in ReadingRule.objects.filter(pk__in=wanted)}
    return {one: stored.get(one) or ReadingRule(clinic_id=one) for one in wanted}


@transaction.atomic
def save_rule(*, actor: Actor, rule: ReadingRule) -> ReadingRule:
    """Validate and store a new or changed rule; it holds at once for what nobody has signed."""
    rule.full_clean()
    rule.save()
    detail = {"own_call_first": rule.own_call_first}
    record(actor, "reading_rule.changed", rule, clinic_id=rule.clinic_id, **detail)
    reports = DiagnosticReport.objects.filter(clinic=rule.clinic_id, status__in=UNSIGNED)
    others = reports.exclude(blind=rule.own_call_first).order_by("pk")
    others.update(blind=rule.own_call_first)
    # Every open screen of the clinic looks again; the subject is nobody's page.
    publish(
        "reading_rule.changed", rule.clinic_id, version=0, topics=[clinic_topic(rule.clinic_id)]
    )
    return rule
