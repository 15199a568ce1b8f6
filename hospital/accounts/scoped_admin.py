"""The admin within clinics: every list from a selector, every write through a service."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.views.autocomplete import AutocompleteJsonView
from django.contrib.admin.widgets import AdminDateWidget, AdminSplitDateTime, AdminTimeWidget
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.paginator import Paginator
from django.db.models import DateTimeField, Field, Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from hospital.accounts.models import Clinic
from hospital.accounts.selectors import clinics_where, may
from hospital.audit.services import Actor, record, record_listed
from hospital.base.problems import Refusal

if TYPE_CHECKING:
    _Admin = admin.ModelAdmin[Any]
    _Paginator = Paginator[Any]
else:
    _Admin = admin.ModelAdmin
    _Paginator = Paginator


class FirstPages(_Paginator):
    """Counts no further than anybody leafs: the rest of a long list is found by searching it."""

    furthest = 5000

    @cached_property
    def count(self) -> int:  # type: ignore[override]
        """How many rows there are, at most `furthest`."""
        rows: Any = self.object_list
        return int(rows.order_by()[: self.furthest].count())


class OwnFilter(admin.RelatedFieldListFilter):
    """Offers what the user may see, without reading the list that is filtered to find it out."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> Any:
        """Clinics where the user may look at such rows; of other models what they see."""
        if field.remote_field.model is Clinic:
            rows: QuerySet[Any] = clinics_where(request.user, model_admin.permission("view"))
        else:
            rows = model_admin.choices_for(field, request)
        return [(row.pk, str(row)) for row in rows]


class DayAndTime(AdminSplitDateTime):
    """Django's two boxes with their names said, which it only writes beside them."""

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        day = AdminDateWidget(attrs={"aria-label": _("Date")})
        time = AdminTimeWidget(attrs={"aria-label": _("Time")})
        forms.MultiWidget.__init__(self, [day, time], attrs)


class ScopedAdmin(_Admin):
    """Shows what `visible` returns, and lets each role do in each clinic what it may there.

    A subclass gives `visible` (a selector) and `store` (a service). Nothing is deleted: registries
    and reports outlive mistakes.
    """

    visible: ClassVar[Callable[[Any], QuerySet[Any]]]
    # Where a row's clinic is, as Django spells it in a lookup.
    clinic_path: ClassVar[str] = "clinic_id"
    # Where opening a row, and a list of rows, is noted in the audit trail: the actions' names, and
    # whose data it is.
    read_as: ClassVar[str] = ""
    listed_as: ClassVar[str] = ""
    patient_path: ClassVar[str] = "patient_id"
    list_per_page = 50
    show_full_result_count = False
    formfield_overrides: ClassVar[Any] = {DateTimeField: {"widget": DayAndTime}}
    paginator = FirstPages
    # Given at creation and never changed afterwards.
    fixed: ClassVar[tuple[str, ...]] = ()

    def store(self, actor: Actor, row: Any, *, form: Any) -> None:
        """Write `row` through its service."""
        raise PermissionDenied

    # --- who sees and does what -------------------------------------------------------------

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """What the selector shows."""
        rows = type(self).visible(request.user)
        return rows.order_by(*self.get_ordering(request) or rows.query.order_by or ["pk"])

    def clinic_of(self, row: Any) -> Any:
        """The id of the clinic that `row` belongs to."""
        return _follow(row, self.clinic_path)

    def permission(self, action: str) -> str:
        """The name of the permission for `action` on this model."""
        return f"{self.opts.app_label}.{action}_{self.opts.model_name}"

    def holds(self, request: HttpRequest, permission: str, row: Any = None) -> bool:
        """Whether the user has the permission: in the row's clinic, or without a row anywhere."""
        if row is None:
            return request.user.has_perm(permission)
        return may(request.user, permission, self.clinic_of(row))

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """In the row's clinic."""
        return self.holds(request, self.permission("view"), obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """In the row's clinic."""
        return self.holds(request, self.permission("change"), obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Offer, and accept, only what the user may see or use."""
        if "queryset" not in kwargs:
            kwargs["queryset"] = choices = self.choices_for(db_field, request)
            if db_field.name == "clinic" and choices.count() == 1:
                kwargs.setdefault("initial", choices.get())  # nothing to choose
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def choices_for(self, db_field: "Field[Any, Any]", request: HttpRequest) -> QuerySet[Any]:
        """Clinics where the user may add rows of this kind; of other models what they see."""
        if db_field.name == "clinic":
            return clinics_where(request.user, self.permission("add"))
        related: Any = db_field.remote_field.model  # type: ignore[union-attr]
        neighbour = self.admin_site._registry.get(related)
        if not isinstance(neighbour, ScopedAdmin):
            return related._default_manager.none()  # type: ignore[no-any-return]
        return neighbour.get_queryset(request)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """`fixed` fields are read-only once the row exists."""
        fields = super().get_readonly_fields(request, obj)
        return [*fields, *self.fixed] if obj else fields

    # --- writing ----------------------------------------------------------------------------

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Through the service, into a clinic where the user may."""
        if not self.holds(request, self.permission("change" if change else "add"), obj):
            raise PermissionDenied
        self.store(Actor.user(request.user), obj, form=form)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: Any = None,
    ) -> Any:
        """Django's page; what a service refuses becomes a message, with nothing written."""
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except (Refusal, ValidationError) as error:
            self.tell(request, error)
            return HttpResponseRedirect(request.get_full_path())

    def tell(self, request: HttpRequest, error: Refusal | ValidationError) -> None:
        """Say on the next page why something was refused."""
        texts = error.messages if isinstance(error, ValidationError) else [error.detail]
        for text in texts:
            messages.error(request, text)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """The row's page; opening one that tells of a patient is noted in the audit trail."""
        if self.read_as and request.method == "GET":
            row = self.get_object(request, object_id)
            if row and self.has_view_permission(request, row):
                record(
                    Actor.user(request.user),
                    self.read_as,
                    row,
                    clinic_id=self.clinic_of(row),
                    patient_id=_follow(row, self.patient_path),
                )
        return super().change_view(request, object_id, form_url, extra_context)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """The list; who stands on it is noted in the audit trail."""
        response: Any = super().changelist_view(request, extra_context)
        if shown := getattr(response, "context_data", {}).get("cl"):
            self.note_listed(request, shown.result_list)
        return response

    def note_listed(self, request: HttpRequest, rows: Iterable[Any]) -> None:
        """Note in the audit trail whose data the rows of a list tell."""
        if self.listed_as:
            told = [(self.clinic_of(row), _follow(row, self.patient_path)) for row in rows]
            record_listed(Actor.user(request.user), self.listed_as, told)

    # The audit trail is written by the services; a second one beside it would only differ.
    def log_addition(self, *_: Any, **__: Any) -> Any:
        """Nothing: see `hospital.audit`."""

    def log_change(self, *_: Any, **__: Any) -> Any:
        """Nothing: see `hospital.audit`."""

    def log_deletions(self, *_: Any, **__: Any) -> Any:
        """Nothing: see `hospital.audit`."""

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        """The row's part of the audit trail."""
        if not request.user.has_perm("audit.view_entry"):
            raise PermissionDenied
        address = reverse("admin:audit_entry_changelist")
        return HttpResponseRedirect(f"{address}?subject_id__exact={object_id}")

    # --- deeds: buttons with a page that asks once more -------------------------------------

    def row_for(self, request: HttpRequest, object_id: Any, permission: str) -> Any:
        """The row of the address, for someone who holds `permission` there.

        Raises:
            PermissionDenied: it is not theirs, or they may not.
        """
        row = self.get_queryset(request).filter(pk=object_id).first()
        if row is None or not self.holds(request, permission, row):
            raise PermissionDenied
        return row

    def ask(self, request: HttpRequest, row: Model, **texts: Any) -> HttpResponse:
        """The page that asks once more before a deed."""
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": row,
            "back": self.page_of(row),
            **texts,
        }
        return TemplateResponse(request, "admin/deed.html", context)

    def after_asking(
        self,
        request: HttpRequest,
        row: Model,
        deed: Callable[[Actor], Any],
        done: str,
        **texts: Any,
    ) -> HttpResponse:
        """Ask once more, with `texts` as for `ask`; when that was answered do `deed`, say `done`
        or why not, and return to the row's page."""
        if request.method != "POST":
            return self.ask(request, row, **texts)
        actor = Actor.user(request.user)
        return self.back_to(request, row, lambda: deed(actor), done)

    def page_of(self, row: Model) -> str:
        """The address of the row's own page."""
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_change"
        return reverse(name, args=[row.pk])

    def back_to(
        self, request: HttpRequest, row: Model, deed: Callable[[], Any], done: str
    ) -> HttpResponse:
        """Do `deed`, say `done` or why not, and return to the row's page."""
        try:
            deed()
        except (Refusal, ValidationError) as error:
            return self.refuse(request, row, error)
        messages.success(request, done)
        return HttpResponseRedirect(self.page_of(row))

    def refuse(
        self, request: HttpRequest, row: Model, error: Refusal | ValidationError
    ) -> HttpResponse:
        """Say why not and return to the row's page."""
        self.tell(request, error)
        return HttpResponseRedirect(self.page_of(row))


def _follow(row: Any, path: str) -> Any:
    """What stands at the end of a lookup's path."""
    for step in path.split("__"):
        row = getattr(row, step)
    return row


class NotedSearch(AutocompleteJsonView):
    """The search in a form's field; whom it found is noted in the audit trail."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Django's."""
        context = super().get_context_data(**kwargs)
        if isinstance(self.model_admin, ScopedAdmin):
            self.model_admin.note_listed(self.request, context["object_list"])
        return context


class ReadOnlyAdmin(ScopedAdmin):
    """Rows that only the system writes."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False
