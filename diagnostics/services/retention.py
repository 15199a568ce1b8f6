"""Retention: what has been kept for as long as its rule says goes, unless a hold keeps it."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from diagnostics.models import FieldSeen
from diagnostics.services.erasure import erase_patient
from hospital.audit.services import Actor, note
from hospital.live.models import Event
from patients import holds
from patients.models import Kept, Patient, RetentionRule

log = logging.getLogger(__name__)

BATCH = 5000
DAYS_IN_YEAR = 365.25


@dataclass(frozen=True)
class Due:
    """What one rule concerns now.

    Attributes:
        held: patients who would go, but for a legal hold.
        failed: patients who should have gone, and are as they were.
    """

    rule: RetentionRule
    count: int
    held: int = 0
    failed: int = 0


def set_rule(*, actor: Actor, kind: str, days: int, until_age: int = 0) -> RetentionRule:
    """How long a kind is kept from now on.

    Raises:
        django.core.exceptions.ValidationError: an unknown kind, or no days.
    """
    rule = RetentionRule.objects.filter(kind=kind).first() or RetentionRule(kind=kind)
    rule.days, rule.until_age = days, until_age
    rule.full_clean()
    rule.save()
    note(actor, "retention.rule_set", "patients.retentionrule", kind=kind, days=days, age=until_age)
    return rule


def drop_rule(*, actor: Actor, kind: str) -> None:
    """Keep a kind for good again."""
    if RetentionRule.objects.filter(kind=kind).delete()[0]:
        note(actor, "retention.rule_dropped", "patients.retentionrule", kind=kind)


def due() -> list[Due]:
    """What would go now, rule by rule. Changes nothing."""
    found = []
    for rule in RetentionRule.objects.all():
        rows, held = _rows(rule), 0
        if rule.kind == Kept.PATIENTS:
            held = rows.filter(_held()).count()
            rows = rows.exclude(_held())
        found.append(Due(rule, rows.count(), held))
    return found


def apply(*, actor: Actor) -> list[Due]:
    """Let go what is due, and note how much. Patients are erased one by one, each whole.

    One who cannot be erased now stops no other, and is due again next time.
    """
    done = []
    for wanted in due():
        one = _erase_all(actor, wanted) if wanted.rule.kind == Kept.PATIENTS else _delete(wanted)
        counts = {"kind": one.rule.kind, "count": one.count, "held": one.held}
        if one.failed:
            counts["failed"] = one.failed
        note(actor, "retention.applied", "patients.retentionrule", **counts)
        done.append(one)
    return done


def _erase_all(actor: Actor, due: Due) -> Due:
    """What was really done of what was due."""
    count = failed = 0
    held = due.held
    for patient in list(_rows(due.rule).exclude(_held())):
        try:
            erase_patient(actor=actor, patient=patient, reason="retention")
        except holds.UnderHold:
            held += 1  # placed since we asked
        except Exception as error:
            # Without its words: a database's may quote a row.
            log.error("patient %s was not erased: %s", patient.pk, type(error).__name__)
            failed += 1
        else:
            count += 1
    return replace(due, count=count, held=held, failed=failed)


def _rows(rule: RetentionRule) -> QuerySet[Any]:
    of: dict[str, Callable[[RetentionRule], QuerySet[Any]]] = {
        Kept.PATIENTS: _old_patients,
        Kept.EVENTS: lambda rule: Event.objects.filter(at__lt=_before(rule)),
        Kept.LOOKS: lambda rule: FieldSeen.objects.filter(at__lt=_before(rule)),
    }
    return of[rule.kind](rule)


def _old_patients(rule: RetentionRule) -> QuerySet[Patient]:
    """Registered and last seen so long ago, old enough, and not erased yet."""
    grown = timezone.localdate() - timedelta(days=round(rule.until_age * DAYS_IN_YEAR))
    rows = Patient.objects.filter(clinic__probe=False).filter(
        erased_at__isnull=True, registered_at__lt=_before(rule), birth_date__lte=grown
    )
    seen = rows.exclude(specimens__registered_at__gte=_before(rule))
    return seen.order_by("registered_at")


def _before(rule: RetentionRule) -> Any:
    return timezone.now() - timedelta(days=rule.days)


def _held() -> Exists:
    return Exists(holds.in_force().filter(patient=OuterRef("pk")))


def _delete(due: Due) -> Due:
    """A piece at a time, so that nobody waits for long."""
    rows = _rows(due.rule)
    while ids := list(rows.order_by("pk").values_list("pk", flat=True)[:BATCH]):
        rows.model._default_manager.filter(pk__in=ids).delete()
    return due
