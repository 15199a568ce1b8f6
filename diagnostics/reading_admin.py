"""How clinics read, in the admin."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from diagnostics import selectors
from diagnostics.models import EscalationStep, ReadingRule
from diagnostics.services import escalation, reading_rules
from hospital.accounts.models import User
from hospital.accounts.scoped_admin import OwnFilter, ScopedAdmin
from hospital.accounts.selectors import clinic_ids_where
from hospital.audit.services import Actor


@admin.register(ReadingRule)
class ReadingRuleAdmin(ScopedAdmin):
    """What a clinic asks of its readers."""

    visible = selectors.reading_rules_visible_to
    fixed = ("clinic",)
    list_display = ["clinic", "own_call_first", "critical"]
    fields = ["clinic", "own_call_first", "critical", "repeat_hours"]

    def store(self, actor: Actor, row: ReadingRule, *, form: object) -> None:
        """Through the service."""
        reading_rules.save_rule(actor=actor, rule=row)


@admin.register(EscalationStep)
class EscalationStepAdmin(ScopedAdmin):
    """Whom a clinic tells when a critical result is not told."""

    visible = selectors.escalation_steps_visible_to
    fixed = ("clinic",)
    list_display = ["clinic", "minutes", "role", "person"]
    list_filter = [("clinic", OwnFilter)]
    fields = ["clinic", "minutes", "role", "person"]
    actions = None

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """In the row's clinic."""
        return self.holds(request, "diagnostics.delete_escalationstep", obj)

    def choices_for(self, db_field: Any, request: HttpRequest) -> Any:
        """People who see cases where the user keeps the chain."""
        if db_field.name != "person":
            return super().choices_for(db_field, request)
        clinics = clinic_ids_where(request.user, "diagnostics.add_escalationstep")
        return User.objects.filter(memberships__clinic__in=clinics, is_active=True).distinct()

    def store(self, actor: Actor, row: EscalationStep, *, form: object) -> None:
        """Through the service."""
        escalation.save_step(actor=actor, step=row)

    def delete_model(self, request: HttpRequest, obj: EscalationStep) -> None:
        """Through the service."""
        escalation.drop_step(actor=Actor.user(request.user), step=obj)
