"""What somebody may do with a case or a model package now: what pages offer, and nothing else.

Said from the tables of steps, the rights and what waits. The services refuse the rest, each with a
sentence of its own and under its lock: the row may have moved since the page was drawn.
"""

from dataclasses import dataclass
from typing import Any

from diagnostics.models import (
    CriticalSource,
    DiagnosticReport,
    ModelPackage,
    PackageState,
    ReportStatus,
)
from diagnostics.models.report import UNSIGNED, WITHDRAWN
from diagnostics.services import contacts, packages
from hospital.accounts.selectors import permissions_in


@dataclass(frozen=True, slots=True)
class CaseActions:
    """What one person may do with one report, as it is shown to them.

    Attributes:
        signs: they sign in this clinic, whether or not there is something to sign just now.
        change: amend, correct or withdraw.
        send_back: the reading that waits; who read it takes it back by the same deed.
        own_call: before the model's word is shown; of the whole case. `name_cells`: of one cell.
        close: the specimen, or open it again.
        paper: have it printed; before a signature as a draft.
    """

    signs: bool
    own_call: bool
    verify: bool
    sign: bool
    confirm: bool
    send_back: bool
    change: bool
    name_cells: bool
    note_call: bool
    tell_family: bool
    retry: bool
    release: bool
    close: bool
    paper: bool


def case_actions(user: Any, report: DiagnosticReport) -> CaseActions:
    """What `user` may do with `report`, which is as `own_call.veil` lets them see it."""
    rights = permissions_in(user, report.clinic_id)
    steps = report.TRANSITIONS[report.status]
    signs = "diagnostics.sign_diagnosticreport" in rights
    seen, waits = not report.veiled, report.waiting is not None
    own = report.waiting is not None and report.waiting.by_id == user.pk
    tellable = report.status != ReportStatus.CANCELLED and bool(contacts.value_of(report))
    read = contacts.source_of(report) != CriticalSource.MODEL
    return CaseActions(
        signs=signs,
        own_call=report.veiled
        and report.status != ReportStatus.REGISTERED
        and "diagnostics.add_owncall" in rights,
        verify=seen
        and ReportStatus.PRELIMINARY in steps
        and "diagnostics.verify_diagnosticreport" in rights,
        sign=signs and seen and not waits and ReportStatus.FINAL in steps,
        confirm=signs and seen and waits and not own,
        send_back=signs and seen and waits,
        change=signs and not waits and ReportStatus.AMENDED in steps,
        name_cells=report.status in UNSIGNED and "diagnostics.add_cellcall" in rights,
        note_call=seen and tellable and "diagnostics.add_contacttry" in rights,
        tell_family=read and "diagnostics.tell_family" in rights,
        retry="diagnostics.retry_analysis" in rights,
        release="diagnostics.release_hold" in rights,
        close="diagnostics.change_specimen" in rights,
        paper=seen and report.status not in {ReportStatus.REGISTERED, *WITHDRAWN},
    )


@dataclass(frozen=True, slots=True)
class PackageActions:
    """What an administrator of the whole house may do with one package."""

    activate: bool
    shadow: bool
    end_shadow: bool
    retire: bool
    compare: bool


def package_actions(package: ModelPackage, active: ModelPackage | None) -> PackageActions:
    """What may be done with `package`, while `active` is the one in use."""
    steps = package.TRANSITIONS[package.state]
    return PackageActions(
        activate=PackageState.ACTIVE in steps,
        shadow=PackageState.SHADOW in steps and active is not None,
        end_shadow=package.state == PackageState.SHADOW,
        retire=PackageState.RETIRED in steps,
        compare=package.state != PackageState.RETIRED
        and packages.compared_with(package, active) is not None,
    )
