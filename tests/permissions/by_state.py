"""What an address answers in every state of the object it speaks of: see table.py."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.permissions.scene import (
    Scene,
    a_picture_id,
    amendment,
    an_upload,
    device,
    new_signature,
    no_pictures,
    pk,
    portal_picture,
    released,
    released_version,
    sent_picture,
    why_back,
)
from tests.permissions.table import Line, nothing


@dataclass(frozen=True)
class ByState:
    """What one hand gets at one address, for every state that the object can be in."""

    statuses: str
    hand: str
    line: Line

    def __str__(self) -> str:
        return f"{self.hand}: {self.line}"


def _deed(name: str, body: Callable[[Scene], Any] = nothing) -> Line:
    return Line("", "POST", f"api:report-{name}", a_report, body)


a_report = pk("released")


def _page(route: str, args: Callable[[Scene], dict[str, Any]] = released) -> Line:
    return Line("", "GET", route, args)


def _sent(method: str, route: str, *given: Any) -> Line:
    return Line("", method, f"api:{route}", *given)


# fmt: off
BY_REPORT_STATE = [
    #        reg par pre fin ame cor can err
    ByState("200 200 200 200 200 200 200 200", "technician", _page("case")),
    ByState("409 200 409 409 409 409 409 409", "technician", _deed("verify", released_version)),
    ByState("403 403 403 403 403 403 403 403", "technician", _deed("sign", new_signature)),
    ByState("409 200 200 409 409 409 409 409", "haematologist", _deed("sign", new_signature)),
    ByState("409 409 409 200 200 200 409 409", "haematologist", _deed("amend", amendment)),
    ByState("409 409 409 200 200 200 409 409", "haematologist", _deed("withdraw", amendment)),
    ByState("409 200 200 200 200 200 409 409", "haematologist", _page("api:report-pdf", a_report)),
    ByState("404 404 404 404 404 404 404 404", "outsider", _deed("sign", new_signature)),
    ByState("404 404 404 404 404 404 404 404", "outsider", _page("case")),
    ByState("404 404 404 200 200 200 404 200", "guardian", _page("portal-report")),
    ByState("404 404 404 200 200 200 404 409", "guardian", _page("portal-pdf")),
    ByState("404 404 404 200 200 200 404 404", "guardian", _page("portal-picture", portal_picture)),
    ByState("404 404 404 404 404 404 404 404", "stranger", _page("portal-report")),
]
BY_DEVICE_STATE = [
    #        pen act sus ret
    ByState("403 201 403 403", "device", _sent("PUT", "device-image", a_picture_id)),
    ByState("403 200 403 403", "device", _sent("GET", "device-image", sent_picture)),
    ByState("403 200 403 403", "device", _sent("POST", "device-images", nothing, no_pictures)),
    ByState("403 201 403 403", "device", _sent("POST", "device-uploads")),
    ByState("403 204 403 403", "device", _sent("PATCH", "device-upload", an_upload)),
    ByState("403 200 403 403", "device", _sent("POST", "device-heartbeat")),
    ByState("403 201 403 403", "device", _sent("POST", "device-key")),
    ByState("403 200 403 403", "device", _sent("GET", "dicom-studies")),
    ByState("201 201 422 422", "device_manager", _sent("POST", "device-keys", device)),
    ByState("201 201 422 422", "device_manager", _sent("POST", "device-code", device)),
    ByState("409 409 409 200", "device_manager", _sent("POST", "device-reinstate", device,
                                                       why_back)),
]
# fmt: on
