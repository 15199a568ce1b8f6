"""Control slides in the admin: registered, given ranges, withdrawn."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import path

from diagnostics import selectors
from diagnostics.models import ControlSlide
from diagnostics.services import controls
from hospital.accounts.scoped_admin import OwnFilter, ScopedAdmin
from hospital.audit.services import Actor


@admin.register(ControlSlide)
class ControlSlideAdmin(ScopedAdmin):
    """Slides of which is known what a sound microscope makes of them."""

    visible = selectors.control_slides_visible_to
    fixed = ("clinic",)
    list_display = ["label", "clinic", "expected", "registered_at", "withdrawn_at"]
    list_filter = [("clinic", OwnFilter), "expected"]
    search_fields = ["label"]
    search_help_text = "Label"
    ordering = ["clinic__name", "label"]
    readonly_fields = ["proposed", "registered_at", "withdrawn_at", "id"]
    change_form_template = "admin/diagnostics/controlslide/change_form.html"

    def get_fieldsets(self, request: HttpRequest, obj: ControlSlide | None = None) -> Any:
        """A proposal needs pictures, so it is shown once the slide exists."""
        ranges = ["ranges", "proposed"] if obj else ["ranges"]
        record = [("Record", {"fields": ["registered_at", "withdrawn_at", "id"]})] if obj else []
        return [
            (None, {"fields": ["clinic", "label", "expected"]}),
            ("Figures", {"fields": ranges}),
            *record,
        ]

    @admin.display(description="Proposed ranges")
    def proposed(self, slide: ControlSlide) -> str:
        """From the slide's own pictures that passed."""
        ranges = controls.proposed_ranges(slide)
        words = [f"{controls.FIGURES[n]} {low:g} to {high:g}" for n, (low, high) in ranges.items()]
        return " · ".join(words) or f"After {controls.ENOUGH} pictures that passed."

    def store(self, actor: Actor, row: ControlSlide, *, form: Any) -> None:
        """Through the controls' service."""
        controls.save_slide(actor=actor, slide=row)

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> Any:
        """Django's form, with the deeds above it."""
        slide = kwargs.get("obj")
        if slide and self.has_change_permission(request, slide):
            context["may_withdraw"] = slide.withdrawn_at is None
            context["may_adopt"] = bool(controls.proposed_ranges(slide))
        return super().render_change_form(request, context, *args, **kwargs)

    def get_urls(self) -> list[Any]:
        """Django's, and those of the deeds."""
        wrap = self.admin_site.admin_view
        name = "diagnostics_controlslide"
        return [
            path("<uuid:pk>/adopt/", wrap(self.adopt), name=f"{name}_adopt"),
            path("<uuid:pk>/withdraw/", wrap(self.withdraw), name=f"{name}_withdraw"),
            *super().get_urls(),
        ]

    def adopt(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """Set the proposed ranges, after asking."""
        slide = self.row_for(request, pk, "diagnostics.change_controlslide")
        return self.after_asking(
            request,
            slide,
            lambda actor: controls.adopt_proposal(actor=actor, slide=slide),
            "The ranges are set.",
            title="Set the proposed ranges",
            question=f"Set these ranges for {slide}?",
            consequence=self.proposed(slide),
            button="Set them",
        )

    def withdraw(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """Take the slide out of use, after asking."""
        slide = self.row_for(request, pk, "diagnostics.change_controlslide")
        return self.after_asking(
            request,
            slide,
            lambda actor: controls.withdraw(actor=actor, slide=slide),
            f"{slide} is out of use.",
            title="Withdraw a control slide",
            question=f"Take {slide} out of use?",
            consequence="For good: pictures of it are refused from now on.",
            button="Withdraw",
            grave=True,
        )
