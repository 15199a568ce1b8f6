"""How clinics read, in the admin."""

from django.contrib import admin

from diagnostics import selectors
from diagnostics.models import ReadingRule
from diagnostics.services import reading_rules
from hospital.accounts.scoped_admin import ScopedAdmin
from hospital.audit.services import Actor


@admin.register(ReadingRule)
class ReadingRuleAdmin(ScopedAdmin):
    """What a clinic asks of its readers."""

    visible = selectors.reading_rules_visible_to
    fixed = ("clinic",)
    list_display = ["clinic", "own_call_first"]
    fields = ["clinic", "own_call_first"]

    def store(self, actor: Actor, row: ReadingRule, *, form: object) -> None:
        """Through the service."""
        reading_rules.save_rule(actor=actor, rule=row)
