"""The named steps of an image's way through the product's processes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """A place in the product where a process may die.

    Attributes:
        kind: of process.
        where: 'module:name' of the function that is wrapped.
        before: it strikes before the function does its work, else after.
        found: it strikes only when the function has something to show for it.
    """

    kind: str
    where: str
    before: bool = False
    found: bool = False


STEPS = {
    "checked": Step("web", "diagnostics.services.intake:_store", before=True),
    "file stored": Step("web", "hospital.base.files:put_all"),
    "rows written": Step("web", "diagnostics.services.reports:count_in"),
    "taken in": Step("web", "diagnostics.services.intake:_store"),
    "claimed": Step("worker", "diagnostics.services.analyses:claim", found=True),
    "fetched": Step("worker", "hospital.base.files:read"),
    "decoded": Step("worker", "diagnostics.pipeline:open_picture"),
    "segmented": Step("worker", "diagnostics.pipeline:_prepare"),
    "read": Step("worker", "diagnostics.pipeline:Line._read"),
    "result written": Step("worker", "diagnostics.services.results:record_all"),
    "report rebuilt": Step("worker", "diagnostics.services.holds:rebuild_all"),
    "event written": Step("worker", "hospital.live.services:publish_all", found=False),
    "result committed": Step("worker", "diagnostics.pipeline:succeed_all", found=True),
    "event announced": Step("worker", "hospital.live.pusher:_send"),
    "lease taken over": Step(
        "housekeeping", "diagnostics.services.analyses:_take_back", found=True
    ),
    "queued again": Step("housekeeping", "diagnostics.services.analyses:_requeue", found=True),
}
# Where a worker with work in hand is stopped, and let go on when its lease has long run out.
IN_HAND = "in hand"
FREEZING = Step("worker", "diagnostics.pipeline:open_picture")
