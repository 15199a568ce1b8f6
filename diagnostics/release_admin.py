"""When families may read, in the admin: the clinics' rules and the patients' wishes."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from diagnostics import selectors
from diagnostics.models import ReleaseRule, ReleaseWish
from diagnostics.services import release
from hospital.accounts.scoped_admin import OwnFilter, ScopedAdmin
from hospital.audit.services import Actor
from patients.selectors import patients_visible_to


@admin.register(ReleaseRule)
class ReleaseRuleAdmin(ScopedAdmin):
    """What a clinic does with which conclusions."""

    visible = selectors.release_rules_visible_to
    fixed = ("clinic", "group")
    list_display = ["group", "way", "hours", "clinic"]
    list_filter = [("clinic", OwnFilter), "way"]
    fields = ["clinic", "group", "way", "hours"]
    actions = None

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """In the row's clinic."""
        return self.holds(request, "diagnostics.delete_releaserule", obj)

    def store(self, actor: Actor, row: ReleaseRule, *, form: Any) -> None:
        """Through the service."""
        release.save_rule(actor=actor, rule=row)

    def delete_model(self, request: HttpRequest, obj: ReleaseRule) -> None:
        """Through the service."""
        release.drop_rule(actor=Actor.user(request.user), rule=obj)


@admin.register(ReleaseWish)
class ReleaseWishAdmin(ScopedAdmin):
    """How families want to learn of results."""

    visible = selectors.release_wishes_visible_to
    clinic_path = "patient__clinic_id"
    fixed = ("patient",)
    list_display = ["patient", "wish"]
    list_filter = [("patient__clinic", admin.RelatedOnlyFieldListFilter), "wish"]
    search_fields = ["patient__mrn", "patient__family_name"]
    search_help_text = "Record number or family name"
    autocomplete_fields = ["patient"]
    fields = ["patient", "wish"]

    def choices_for(self, db_field: Any, request: HttpRequest) -> Any:
        """Patients of the clinics where the user keeps the wishes."""
        return patients_visible_to(request.user, "diagnostics.add_releasewish")

    def store(self, actor: Actor, row: ReleaseWish, *, form: Any) -> None:
        """Through the service."""
        release.save_wish(actor=actor, wish=row)
