"""Model packages: registered, put to use, tried beside the one in use, taken back.

Only administrators of the whole house, and whoever has the server's command line, change them.
Workers look here before each pass over the queue (`diagnostics.readers`), so a package that is
put to use reads the next picture, without a restart.
"""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from diagnostics.models import (
    Analysis,
    AnalysisState,
    FieldImage,
    ModelPackage,
    PackageState,
    Priority,
)
from diagnostics.services import bell
from hospital.accounts.models import User
from hospital.audit.models import ActorKind
from hospital.audit.services import Actor, record
from hospital.base.problems import Conflict, Forbidden, NotFound, Refusal
from hospital.base.states import advance
from ml import packages, preprocessing

SHORTEST_DIGEST = 8
CARD = "MODEL_CARD.md"
LOADER = Actor.system("pipeline")


class PackageRefused(Refusal):
    """The folder holds no package that this program can use."""

    code = "package_unusable"


def in_use() -> ModelPackage | None:
    """The active package; None where nobody has chosen one: then the settings say which."""
    return ModelPackage.objects.filter(state=PackageState.ACTIVE).first()


def reading_along() -> ModelPackage | None:
    """The package that reads along in silence, if any."""
    return ModelPackage.objects.filter(state=PackageState.SHADOW).first()


def compared_with(package: ModelPackage, active: ModelPackage | None) -> ModelPackage | None:
    """The one that `package` is set beside: `active`, the one in use; for that, the one before."""
    return package.before if package.state == PackageState.ACTIVE else active


def folder_of(package: ModelPackage | None) -> Path | None:
    """Where the package lies; for None the settings' own, None for the one in the code."""
    if package:
        return Path(package.path)
    return Path(settings.MODEL_PACKAGE) if settings.MODEL_PACKAGE else None


def card_of(digest: str) -> tuple[packages.Package, str] | None:
    """The package with this digest, wherever it lies on this machine, and its card; else None."""
    row = ModelPackage.objects.filter(digest=digest).first()
    for folder in (folder_of(row), folder_of(None), packages.COMMITTED):
        with suppress(packages.PackageTampered):
            if folder and (package := packages.describe(folder)).digest == digest:
                return package, package.document(CARD)
    return None


def verified() -> packages.Package:
    """The package that workers use now, once every file of it is seen to be as it was made.

    Raises:
        ml.packages.PackageTampered: one is not, or the folder holds another package by now.
    """
    row = in_use()
    package = packages.verify(folder_of(row) or packages.COMMITTED)
    if row is not None and row.digest != package.digest:
        raise packages.PackageTampered(row.path, "is not the package that was registered")
    return package


def may_change(user: Any) -> bool:
    """Whether `user` administers the whole house."""
    return bool(user.is_authenticated and user.is_active and user.is_superuser)


def named(text: str) -> ModelPackage:
    """The package with this digest, or the only one whose digest begins so.

    Raises:
        NotFound: none or several, or fewer than eight digits.
    """
    found = list(ModelPackage.objects.filter(digest__startswith=text)[:2])
    if len(text) < SHORTEST_DIGEST or len(found) != 1:
        raise NotFound(
            _("No such package. Give the first %(n)s digits of its digest, or more.")
            % {"n": SHORTEST_DIGEST}
        )
    return found[0]


@transaction.atomic
def register(*, actor: Actor, folder: Path) -> ModelPackage:
    """Verify the package in `folder` and make it known; its folder must stay where it is.

    One that is known already is registered anew when it was retired or lies elsewhere now.

    Raises:
        Forbidden: `actor` does not administer the whole house.
        PackageRefused: a file is missing or changed, or it wants another preprocessing.
        Conflict: it is known, and nothing about it has changed.
    """
    _ensure_may(actor)
    found = _verified(folder)
    path = str(found.folder.resolve())
    package = ModelPackage.objects.select_for_update().filter(digest=found.digest).first()
    if package is None:
        package = ModelPackage(
            name=found.name, version=found.version, digest=found.digest, path=path
        )
        package.save(force_insert=True)
    elif package.state == PackageState.RETIRED:
        advance(package, PackageState.REGISTERED, path=path, trouble="")
    elif package.path != path:
        package.path, package.trouble = path, ""
        package.save(update_fields=["path", "trouble"])
    else:
        raise Conflict(_("This package is registered already."), code="package_known")
    _note(actor, "registered", package, path=path)
    return package


@transaction.atomic
def activate(*, actor: Actor, package: ModelPackage) -> ModelPackage:
    """Have every new picture read by `package`.

    Raises:
        Forbidden: `actor` does not administer the whole house.
        PackageRefused: its folder is not what was registered.
        hospital.base.states.IllegalTransition: it is active already, or retired.
    """
    return _put_to_use(actor, package, "activated", back=False)


@transaction.atomic
def roll_back(*, actor: Actor) -> ModelPackage:
    """Put the package to use again that was active before the one that is; returns it.

    Raises:
        Forbidden: `actor` does not administer the whole house.
        Conflict: no package was active before.
        PackageRefused: its folder is not what was registered.
        hospital.base.states.IllegalTransition: it was retired meanwhile.
    """
    _ensure_may(actor)
    _lock()
    now = in_use()
    if now is None or now.before is None:
        raise Conflict(_("No package was in use before this one."), code="no_package_before")
    return _put_to_use(actor, now.before, "rolled_back", back=True)


@transaction.atomic
def shadow(*, actor: Actor, package: ModelPackage) -> ModelPackage:
    """Have `package` read every new picture too, after the active one and in silence.

    Raises:
        Forbidden: `actor` does not administer the whole house.
        Conflict: there is no active package to compare it with, or another one reads along.
        PackageRefused: its folder is not what was registered.
        hospital.base.states.IllegalTransition: it is the active one, or retired.
    """
    _ensure_may(actor)
    package = _locked(package)
    if in_use() is None:
        raise Conflict(
            _("Register and activate the package in use first: there is nothing to compare with."),
            code="no_active_package",
        )
    other = reading_along()
    if other and other.pk != package.pk:
        raise Conflict(
            _("%(other)s reads along already. End that first.") % {"other": other},
            code="shadow_taken",
        )
    _ensure_unchanged(package)
    advance(package, PackageState.SHADOW, trouble="")
    _note(actor, "shadowed", package)
    return package


@transaction.atomic
def end_shadow(*, actor: Actor, package: ModelPackage) -> ModelPackage:
    """Let `package` read along no more. What it has read stays; what still waits is dropped.

    Raises:
        Forbidden: `actor` does not administer the whole house.
        Conflict: it does not read along.
    """
    _ensure_may(actor)
    package = _locked(package)
    if package.state != PackageState.SHADOW:
        raise Conflict(_("This package does not read along."), code="not_shadow")
    advance(package, PackageState.REGISTERED)
    _note(actor, "shadow_ended", package, dropped=_drop_waiting(package))
    return package


@transaction.atomic
def retire(*, actor: Actor, package: ModelPackage) -> ModelPackage:
    """Take `package` out of the list of those that can be used; its folder may go.

    Raises:
        Forbidden: `actor` does not administer the whole house.
        hospital.base.states.IllegalTransition: it is the active one, or retired already.
    """
    _ensure_may(actor)
    package = _locked(package)
    advance(package, PackageState.RETIRED)
    _note(actor, "retired", package, dropped=_drop_waiting(package))
    return package


def queue_shadows(runs: Iterable[Analysis]) -> int:
    """Have the pictures of live `runs` that have just been read, read in silence too.

    In the caller's transaction. Returns how many were queued; 0 where nothing reads along.
    """
    live = [run for run in runs if run.priority == Priority.LIVE and run.image.specimen_id]
    package = reading_along() if live else None
    if package is None:
        return 0
    wanted = [run for run in live if run.package_digest != package.digest]
    drawn = FieldImage.objects.filter(specimen__clinic__probe=True)  # the probe's prove nothing
    drawn = drawn.filter(pk__in=[run.image_id for run in wanted])
    probes = set(drawn.values_list("pk", flat=True))
    # A picture that is being read again just now is left out: its next reading brings it here.
    Analysis.objects.bulk_create(
        (
            Analysis(
                image_id=run.image_id,
                priority=Priority.SHADOW,
                package_wanted=package.digest,
                speaks=False,
            )
            for run in wanted
            if run.image_id not in probes
        ),
        ignore_conflicts=True,
    )
    return len(wanted) - len(probes)


def note_loaded(package: ModelPackage, *, trouble: str) -> None:
    """Write down that a worker has loaded the package, or why it could not; once for each change.

    `trouble` is a sentence of the model's own, '' for none.
    """
    trouble = trouble[:400]
    rows = ModelPackage.objects.filter(pk=package.pk).exclude(trouble=trouble)
    with transaction.atomic():
        if rows.update(trouble=trouble) and trouble:
            record(LOADER, "package.not_loaded", package, why=trouble)


def _put_to_use(actor: Actor, package: ModelPackage, deed: str, *, back: bool) -> ModelPackage:
    _ensure_may(actor)
    package = _locked(package)
    _ensure_unchanged(package)
    old = in_use()
    if old and old.pk != package.pk:
        advance(old, PackageState.REGISTERED)
    before = package.before if back else old
    advance(package, PackageState.ACTIVE, activated_at=timezone.now(), before=before, trouble="")
    _note(
        actor,
        deed,
        package,
        before=old.digest if old else "",
        dropped=_drop_waiting(package),
    )
    # Workers that sleep look at once; those that work look before their next batch.
    transaction.on_commit(bell.ring, robust=True)
    return package


def _ensure_may(actor: Actor) -> None:
    if actor.kind == ActorKind.SYSTEM:  # the server's command line
        return
    everywhere = User.objects.filter(is_superuser=True, is_active=True)
    if actor.kind != ActorKind.USER or not everywhere.filter(pk=actor.id).exists():
        raise Forbidden(
            _("Only administrators of the whole house change model packages. Ask one of them.")
        )


def _lock() -> None:
    """One change at a time: the rows are few."""
    list(ModelPackage.objects.select_for_update().order_by("pk").values_list("pk"))


def _locked(package: ModelPackage) -> ModelPackage:
    _lock()
    return ModelPackage.objects.select_related("before").get(pk=package.pk)


def _verified(folder: Path) -> packages.Package:
    try:
        found = packages.verify(folder)
    except packages.PackageTampered as problem:
        raise PackageRefused(f"{folder}: {problem}", code="package_tampered") from None
    if found.preprocessing != preprocessing.VERSION:
        raise PackageRefused(
            _(
                "The package was trained behind %(its)s, this program prepares pictures by "
                "%(ours)s. Train it again, or run the program version that it came with."
            )
            % {"its": found.preprocessing, "ours": preprocessing.VERSION},
            code="package_other_preprocessing",
        )
    return found


def _ensure_unchanged(package: ModelPackage) -> None:
    if _verified(Path(package.path)).digest != package.digest:
        raise PackageRefused(
            _("The folder holds another package by now. Register that one."),
            code="package_replaced",
        )


def _drop_waiting(package: ModelPackage) -> int:
    """Forget the silent runs that nobody will read: they were wishes, not results."""
    waiting = Analysis.objects.filter(
        state=AnalysisState.QUEUED, priority=Priority.SHADOW, package_wanted=package.digest
    )
    return waiting.delete()[0]


def _note(actor: Actor, deed: str, package: ModelPackage, **detail: object) -> None:
    record(actor, f"package.{deed}", package, digest=package.digest, **detail)
