"""Patients, and who reads about them, in the admin."""

from typing import TYPE_CHECKING, Any

import segno
from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path, reverse
from django.utils import translation
from django.utils.cache import add_never_cache_headers
from django.utils.html import format_html

from hospital.accounts.scoped_admin import OwnFilter, ScopedAdmin
from hospital.audit.services import Actor
from patients import invitations, services
from patients.models import (
    AccessStanding,
    Invitation,
    InvitationState,
    Patient,
    PortalAccess,
    Relation,
)
from patients.selectors import (
    invitations_visible_to,
    patients_visible_to,
    portal_access_visible_to,
    standing,
)


@admin.register(Patient)
class PatientAdmin(ScopedAdmin):
    """The patient registry."""

    visible = patients_visible_to
    read_as = "patient.read"
    listed_as = "patient.listed"
    patient_path = "pk"
    fixed = ("clinic",)
    list_display = ["mrn", "name", "birth_date", "sex_in_words", "clinic"]
    list_display_links = ["mrn", "name"]
    list_filter = [("clinic", OwnFilter), "sex", "language", "registered_at"]
    search_fields = ["mrn", "family_name", "given_names"]
    search_help_text = "Record number or words of the name"
    ordering = ["family_name", "given_names"]
    readonly_fields = ["id", "registered_at", "portal"]
    fieldsets = [
        (None, {"fields": ["clinic", "mrn"]}),
        ("Person", {"fields": ["family_name", "given_names", "birth_date", "sex", "language"]}),
        ("Record", {"fields": ["portal", "registered_at", "id"]}),
    ]

    @admin.display(description="Name", ordering="family_name")
    def name(self, patient: Patient) -> str:
        """As registries sort it."""
        return f"{patient.family_name}, {patient.given_names}"

    @admin.display(description="Sex", ordering="sex")
    def sex_in_words(self, patient: Patient) -> str:
        """Under a heading that fits."""
        return patient.get_sex_display()

    @admin.display(description="Portal")
    def portal(self, patient: Patient) -> str:
        """Who may read this patient's reports, as a link."""
        if patient._state.adding:
            return "-"
        live = patient.portal_access.filter(standing(AccessStanding.LIVE)).count()
        address = reverse("admin:patients_portalaccess_changelist")
        return format_html(
            '<a href="{}?patient__id__exact={}">{} with access</a>', address, patient.pk, live
        )

    def store(self, actor: Actor, row: Patient, *, form: Any) -> None:
        """Through the registry's service."""
        services.save_patient(actor=actor, patient=row)


if TYPE_CHECKING:
    _Form = forms.ModelForm[PortalAccess]
else:
    _Form = forms.ModelForm


class InvitationForm(_Form):
    """Access for an account that exists, or for one opened with it."""

    username = forms.CharField(
        max_length=150, help_text="Of the account that shall read the patient's reports."
    )
    full_name = forms.CharField(
        max_length=200, required=False, help_text="Only to open a new account."
    )
    password = forms.CharField(
        max_length=200,
        required=False,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="Only to open a new account: its first password, at least 12 characters.",
    )

    class Meta:
        model = PortalAccess
        fields = ["patient", "relation", "expires_at"]


class StandingFilter(admin.SimpleListFilter):
    """In force, or ended in one of the ways."""

    title = "standing"
    parameter_name = "standing"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, Any]]:
        """All there are."""
        return list(AccessStanding.choices)

    def queryset(self, request: Any, queryset: Any) -> Any:
        """Those with the chosen standing."""
        wanted = self.value() or ""
        return queryset.filter(standing(wanted)) if wanted in AccessStanding.values else queryset


@admin.register(PortalAccess)
class PortalAccessAdmin(ScopedAdmin):
    """Who reads which patient's reports."""

    visible = portal_access_visible_to
    listed_as = "portal_access.listed"
    clinic_path = "patient__clinic_id"
    form = InvitationForm
    list_display = ["user", "patient", "relation", "granted_at", "expires_at", "standing"]
    list_filter = [
        StandingFilter,
        ("patient__clinic", admin.RelatedOnlyFieldListFilter),
        "relation",
    ]
    search_fields = ["user__username", "user__last_name", "patient__mrn", "patient__family_name"]
    search_help_text = "User name, record number or family name"
    autocomplete_fields = ["patient"]
    readonly_fields = ["standing"]
    date_hierarchy = "granted_at"
    change_form_template = "admin/patients/portalaccess/change_form.html"

    def get_fieldsets(self, request: HttpRequest, obj: PortalAccess | None = None) -> Any:
        """An invitation to fill in, or an access to look at."""
        if obj is None:
            return [
                (None, {"fields": ["patient", "relation", "username", "expires_at"]}),
                ("A new account", {"fields": ["full_name", "password"]}),
            ]
        shown = ["patient", "user", "relation", "granted_at", "expires_at", "revoked_at"]
        return [(None, {"fields": [*shown, "standing"]})]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never: an access is granted or revoked, not rewritten."""
        return False

    def choices_for(self, db_field: Any, request: HttpRequest) -> Any:
        """Patients of the clinics whose portal access the user manages."""
        if db_field.name == "patient":
            return patients_visible_to(request.user, "patients.add_portalaccess")
        return super().choices_for(db_field, request)

    @admin.display(description="Standing")
    def standing(self, access: PortalAccess) -> str:
        """In a word."""
        return str(access.standing.label)

    def store(self, actor: Actor, row: PortalAccess, *, form: Any) -> None:
        """Through the service, which may hand back an access that stood already."""
        given = form.cleaned_data
        access = services.invite_to_portal(
            actor=actor,
            patient=row.patient,
            username=given["username"],
            relation=given["relation"] or Relation.GUARDIAN,
            expires_at=given["expires_at"],
            full_name=given["full_name"],
            password=given["password"],
        )
        row.__dict__.update(access.__dict__)

    def get_urls(self) -> list[Any]:
        """Django's, and the one that ends an access."""
        revoke = self.admin_site.admin_view(self.revoke)
        return [
            path("<uuid:pk>/revoke/", revoke, name="patients_portalaccess_revoke"),
            *super().get_urls(),
        ]

    def revoke(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """End an access, after asking."""
        access = self.row_for(request, pk, "patients.change_portalaccess")
        return self.after_asking(
            request,
            access,
            lambda actor: services.revoke_portal_access(actor=actor, access=access),
            "Access revoked.",
            title="Revoke portal access",
            question=f"Shall {access.user} no longer read the reports of {access.patient}?",
            consequence="Their open pages lose it at once; whoever can read nothing else is "
            "signed out. It can be granted anew.",
            button="Revoke",
            grave=True,
        )


@admin.register(Invitation)
class InvitationAdmin(ScopedAdmin):
    """Sheets of paper with which parents and patients come to the portal."""

    visible = invitations_visible_to
    listed_as = "invitation.listed"
    clinic_path = "patient__clinic_id"
    patient_path = "patient_id"
    list_display = ["patient", "relation", "issued_at", "expires_at", "standing", "accepted_by"]
    list_filter = [
        "state",
        ("patient__clinic", admin.RelatedOnlyFieldListFilter),
        "relation",
    ]
    search_fields = ["patient__mrn", "patient__family_name"]
    search_help_text = "Record number or family name"
    autocomplete_fields = ["patient"]
    date_hierarchy = "issued_at"
    change_form_template = "admin/patients/invitation/change_form.html"

    def get_fieldsets(self, request: HttpRequest, obj: Invitation | None = None) -> Any:
        """One to make, or one to look at."""
        if obj is None:
            return [(None, {"fields": ["patient", "relation", "access_until"]})]
        shown = ["patient", "relation", "access_until", "issued_at", "expires_at", "standing"]
        return [(None, {"fields": [*shown, "wrong_dates", "accepted_by", "accepted_at"]})]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never: an invitation is made or revoked, not rewritten."""
        return False

    def choices_for(self, db_field: Any, request: HttpRequest) -> Any:
        """Patients of the clinics where the user may invite."""
        if db_field.name == "patient":
            return patients_visible_to(request.user, "patients.add_invitation")
        return super().choices_for(db_field, request)

    @admin.display(description="Standing")
    def standing(self, invitation: Invitation) -> str:
        """In a word."""
        if invitation.state == InvitationState.OPEN and not invitation.is_open:
            return "Expired"
        return str(invitation.get_state_display())

    def store(self, actor: Actor, row: Invitation, *, form: Any) -> None:
        """Through the service; the secret stays on the row until the sheet is shown."""
        issued, secret = invitations.issue(
            actor=actor, patient=row.patient, relation=row.relation, access_until=row.access_until
        )
        row.__dict__.update(issued.__dict__)
        row.__dict__["secret"] = secret

    def response_add(
        self, request: HttpRequest, obj: Invitation, post_url_continue: str | None = None
    ) -> HttpResponse:
        """The sheet to print, in the patient's language, shown this once."""
        link = request.build_absolute_uri(
            reverse("invitation-follow", args=[obj.__dict__.pop("secret")])
        )
        picture = segno.make(link, error="m", micro=False).svg_data_uri(border=2, dark="#1d1731")
        context = {"invitation": obj, "link": link, "picture": picture, "back": self.page_of(obj)}
        with translation.override(obj.patient.language):
            sheet = render(request, "invitations/sheet.html", context)
        add_never_cache_headers(sheet)
        return sheet

    def get_urls(self) -> list[Any]:
        """Django's, and the one that revokes."""
        revoke = self.admin_site.admin_view(self.revoke)
        return [
            path("<uuid:pk>/revoke/", revoke, name="patients_invitation_revoke"),
            *super().get_urls(),
        ]

    def revoke(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """Make a sheet worthless, after asking."""
        invitation = self.row_for(request, pk, "patients.change_invitation")
        return self.after_asking(
            request,
            invitation,
            lambda actor: invitations.revoke(actor=actor, invitation=invitation),
            "Invitation revoked.",
            title="Revoke the invitation",
            question=f"Revoke the invitation for {invitation.patient}?",
            consequence="The sheet is worthless at once. You can make another one.",
            button="Revoke",
            grave=True,
        )
