"""Clinics, colleagues, their roles and the audit trail in the admin."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django import forms
from django.contrib import admin, messages
from django.contrib.auth.forms import SetPasswordForm
from django.contrib.auth.models import Group
from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path
from django.utils import timezone

from hospital.accounts import emergency, selectors, services
from hospital.accounts.models import Clinic, Lockout, Membership, User
from hospital.accounts.roles import Role
from hospital.accounts.scoped_admin import ReadOnlyAdmin, ScopedAdmin
from hospital.accounts.signin import factors, lockouts, sessions
from hospital.audit.models import Entry
from hospital.audit.selectors import seal_of
from hospital.audit.services import Actor

# Roles come from hospital.accounts.roles, not from groups; addresses are not verified; second
# factors hold secrets, and are taken off by a button on the account's page.
admin.site.unregister([Group, EmailAddress, Authenticator])


def _own_clinics(user: Any) -> Any:
    return selectors.clinics_where(user, "accounts.view_clinic")


@admin.register(Clinic)
class ClinicAdmin(ScopedAdmin):
    """Clinics."""

    visible = _own_clinics
    clinic_path = "pk"
    list_display = ["name", "code", "telephone"]
    search_fields = ["name", "code"]
    readonly_fields = ["id"]
    fixed = ("code",)
    fieldsets = [
        (None, {"fields": ["name", "code", "telephone", "paper"]}),
        ("Signing", {"fields": ["fields_to_see", "second_reader"]}),
        ("Record", {"fields": ["id"]}),
    ]

    def holds(self, request: HttpRequest, permission: str, row: Any = None) -> bool:
        """A clinic that does not exist yet is nobody's but a superuser's."""
        if row is not None and row._state.adding:
            return request.user.has_perm(permission)
        return super().holds(request, permission, row)

    def store(self, actor: Actor, row: Clinic, *, form: Any) -> None:
        """Through the accounts' service."""
        services.save_clinic(actor=actor, clinic=row)


if TYPE_CHECKING:
    _Form = forms.ModelForm[User]
else:
    _Form = forms.ModelForm


class HiringForm(_Form):
    """A new colleague: who, with which first password, where, as what."""

    full_name = forms.CharField(max_length=200)
    password = forms.CharField(
        max_length=200,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="At least 12 characters. Tell it to them in person.",
    )
    clinic = forms.ModelChoiceField(Clinic.objects.none())
    role = forms.ChoiceField(choices=Role.choices)

    class Meta:
        model = User
        fields = ["username", "email"]


@admin.register(User)
class UserAdmin(ScopedAdmin):
    """The staff of the clinics somebody administers."""

    visible = selectors.staff_visible_to
    list_display = ["username", "first_name", "last_name", "email", "is_active", "last_login"]
    list_filter = [
        "is_active",
        "memberships__role",
        ("memberships__clinic", admin.RelatedOnlyFieldListFilter),
    ]
    search_fields = ["username", "first_name", "last_name", "email"]
    search_help_text = "User name, name or e-mail"
    ordering = ["username"]
    readonly_fields = ["roles", "is_superuser", "last_login", "date_joined"]
    change_form_template = "admin/accounts/user/change_form.html"

    def get_queryset(self, request: HttpRequest) -> Any:
        """With their roles in the clinics that the user administers."""
        user: Any = request.user
        own = Prefetch(
            "memberships", selectors.memberships_visible_to(user), to_attr="own_memberships"
        )
        return super().get_queryset(request).prefetch_related(own)

    def holds(self, request: HttpRequest, permission: str, row: Any = None) -> bool:
        """Somebody who also works elsewhere, or a superuser, may be seen and not changed."""
        user: Any = request.user
        if row is None or row._state.adding:
            return request.user.has_perm(permission)
        if permission == "accounts.view_user":
            return selectors.staff_visible_to(user).filter(pk=row.pk).exists()
        return user.has_perm(permission) and selectors.may_manage_account(user, row)

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        """A hiring form for a new colleague, offering only clinics the user administers."""
        if obj is not None:
            return super().get_form(request, obj, change, **kwargs)
        form = super().get_form(request, obj, change, form=HiringForm, **kwargs)
        clinics = selectors.clinics_where(request.user, "accounts.add_membership")
        form.base_fields["clinic"].queryset = clinics  # type: ignore[attr-defined]
        return form

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Who they are, and for a new colleague where they start."""
        if obj is None:
            return [
                (None, {"fields": ["username", "full_name", "email", "password"]}),
                ("First role", {"fields": ["clinic", "role"]}),
            ]
        names = ["username", "first_name", "last_name", "email"]
        return [
            (None, {"fields": names}),
            ("Work", {"fields": ["roles"]}),
            ("Account", {"fields": ["is_active", "is_superuser", "last_login", "date_joined"]}),
        ]

    @admin.display(description="Roles")
    def roles(self, user: User) -> str:
        """Where they work as what; granted and revoked under 'memberships'."""
        held: list[Membership] = getattr(user, "own_memberships", [])
        return "; ".join(f"{m.get_role_display()}, {m.clinic}" for m in held) or "-"

    def store(self, actor: Actor, row: User, *, form: Any) -> None:
        """Through the accounts' services."""
        if not row._state.adding:
            services.save_account(actor=actor, user=row)
            return
        given = form.cleaned_data
        opened = services.hire(
            actor=actor,
            username=given["username"],
            password=given["password"],
            full_name=given["full_name"],
            email=given["email"],
            clinic=given["clinic"],
            role=given["role"],
        )
        row.__dict__.update(opened.__dict__)

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> Any:
        """Django's form, with a button for the password."""
        user = kwargs.get("obj")
        context["may_set_password"] = bool(user) and self.has_change_permission(request, user)
        return super().render_change_form(request, context, *args, **kwargs)

    def get_urls(self) -> list[Any]:
        """Django's, and those of the deeds."""
        deeds = [("password", self.set_password), ("shut", self.shut_out), ("reset", self.reset)]
        views = [
            path(
                f"<uuid:pk>/{name}/", self.admin_site.admin_view(view), name=f"accounts_user_{name}"
            )
            for name, view in deeds
        ]
        return [*views, *super().get_urls()]

    def shut_out(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """End every session of a colleague, as when a telephone is lost."""
        user = self.row_for(request, pk, "accounts.change_user")
        return self.after_asking(
            request,
            user,
            lambda actor: sessions.end_all(actor=actor, user=user),
            "Signed out everywhere.",
            title="Sign out everywhere",
            question=f"Sign {user} out everywhere?",
            consequence="Open pages lose everything at once. They can sign in again.",
            button="Sign out",
        )

    def reset(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """Take the second factors off a colleague's account who lost them."""
        user = self.row_for(request, pk, "accounts.change_user")
        return self.after_asking(
            request,
            user,
            lambda actor: factors.remove_all(actor=actor, user=user),
            "The second step is removed.",
            title="Remove the second step",
            question=f"Remove the authenticator app, passkeys and recovery codes of {user}?",
            consequence="Only when you have seen them in person: after this their password alone "
            "opens the account. They are signed out everywhere.",
            button="Remove",
            grave=True,
        )

    def set_password(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """Give a colleague a new password."""
        user = self.row_for(request, pk, "accounts.change_user")
        form = SetPasswordForm(user, request.POST or None)
        if request.method == "POST" and form.is_valid():
            actor, password = Actor.user(request.user), form.cleaned_data["new_password1"]
            return self.back_to(
                request,
                user,
                lambda: services.set_password(actor=actor, user=user, password=password),
                "The password is set. Tell it to them in person.",
            )
        return self.ask(
            request,
            user,
            title="Set a password",
            question=f"A new password for {user}",
            consequence="They are signed out everywhere.",
            button="Set password",
            form=form,
        )


@admin.register(Membership)
class MembershipAdmin(ScopedAdmin):
    """Who works where as what: granted and revoked, never rewritten."""

    visible = selectors.memberships_visible_to
    list_display = ["user", "role", "clinic"]
    list_filter = ["role", ("clinic", admin.RelatedOnlyFieldListFilter)]
    search_fields = ["user__username", "user__first_name", "user__last_name"]
    search_help_text = "User name or name"
    autocomplete_fields = ["user"]
    fields = ["user", "clinic", "role"]
    actions = None

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """In the row's clinic."""
        return self.holds(request, "accounts.delete_membership", obj)

    def store(self, actor: Actor, row: Membership, *, form: Any) -> None:
        """Through the accounts' service."""
        granted = services.grant_role(actor=actor, user=row.user, clinic=row.clinic, role=row.role)
        row.__dict__.update(granted.__dict__)

    def delete_model(self, request: HttpRequest, obj: Membership) -> None:
        """Through the accounts' service."""
        services.revoke_role(actor=Actor.user(request.user), membership=obj)


@admin.register(Lockout)
class LockoutAdmin(ReadOnlyAdmin):
    """Accounts and addresses with wrong tries behind them."""

    visible = selectors.lockouts_visible_to
    clinic_path = "user__memberships__clinic"
    list_display = ["__str__", "kind", "failures", "last_failed_at", "locked_until", "standing"]
    list_filter = ["kind"]
    search_fields = ["user__username", "key"]
    search_help_text = "User name or network address"
    fields = ["kind", "user", "failures", "last_failed_at", "locked_until"]
    change_form_template = "admin/accounts/lockout/change_form.html"

    def holds(self, request: HttpRequest, permission: str, row: Any = None) -> bool:
        """What the selector shows, for whoever has the permission anywhere."""
        user: Any = request.user
        shown = row is None or selectors.lockouts_visible_to(user).filter(pk=row.pk).exists()
        return user.has_perm(permission) and shown

    @admin.display(description="Standing")
    def standing(self, lockout: Lockout) -> str:
        """In a word."""
        return "Locked" if lockout.is_locked else "May try"

    def get_urls(self) -> list[Any]:
        """Django's, and the one that lifts a lockout."""
        view = self.admin_site.admin_view(self.lift)
        return [path("<int:pk>/lift/", view, name="accounts_lockout_lift"), *super().get_urls()]

    def lift(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """Let somebody try again at once."""
        lockout = self.row_for(request, pk, "accounts.change_lockout")
        if request.method != "POST":
            return self.ask(
                request,
                lockout,
                title="Lift the lockout",
                question=f"Let {lockout} try again at once?",
                consequence="Do it only for somebody you have spoken to.",
                button="Lift",
            )
        lockouts.lift(actor=Actor.user(request.user), lockout=lockout)
        messages.success(request, "Lifted.")
        return redirect("admin:accounts_lockout_changelist")


@admin.register(Entry)
class EntryAdmin(ReadOnlyAdmin):
    """The audit trail, to read."""

    visible = selectors.audit_visible_to
    list_display = ["at", "actor_name", "action", "subject", "patient", "detail"]
    list_filter = ["actor_kind", "action", "subject_type", "at"]
    search_fields = ["actor_name", "action", "=subject_id", "=patient_id"]
    search_help_text = "Name, action, or the id of a patient or object"
    readonly_fields = ["sealed"]
    ordering = ["-id"]

    @admin.display(description="Subject", ordering="subject_type")
    def subject(self, entry: Entry) -> str:
        """Its kind and the beginning of its id."""
        return f"{entry.subject_type.partition('.')[2]} {entry.subject_id[:8]}"

    @admin.display(description="Sealed")
    def sealed(self, entry: Entry) -> str:
        """Its place in the chain and its digest; `manage.py audit verify` checks all of them."""
        seal = seal_of(entry)
        return f"{seal.position}, {seal.digest}" if seal else "Not sealed yet"

    @admin.display(description="Patient", ordering="patient_id")
    def patient(self, entry: Entry) -> str:
        """The beginning of the id; the trail itself holds no names."""
        return str(entry.patient_id)[:8] if entry.patient_id else ""

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """The trail, and above it the emergencies of the last day."""
        user: Any = request.user
        lately = timezone.now() - timedelta(days=1)
        watched = selectors.clinics_where(user, "audit.view_entry")
        for one in emergency.visible_to(user).filter(begun_at__gt=lately, clinic__in=watched):
            until = timezone.localtime(one.ended_at or one.ends_at)
            text = f"Break-glass access: {one}, until {until:%H:%M}. {one.reason}"
            messages.warning(request, text)
        return super().changelist_view(request, extra_context)

    def lookup_allowed(self, lookup: str, value: Any, request: Any = None) -> bool:
        """Also by subject: the 'History' button of other pages leads here."""
        return lookup == "subject_id__exact" or super().lookup_allowed(lookup, value, request)

    def holds(self, request: HttpRequest, permission: str, row: Any = None) -> bool:
        """Entries without a clinic are a superuser's."""
        if row is None:
            return request.user.has_perm(permission)
        user: Any = request.user
        return selectors.audit_visible_to(user).filter(pk=row.pk).exists()
