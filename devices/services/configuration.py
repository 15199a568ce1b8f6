"""What a microscope is told: the hospital's defaults, and what is set for one microscope.

Every field is described once, in `FIELDS`; the service checks by it, and the admin's form and the
staff API are made of it. A field that is not set is left to the microscope's own default.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction

from devices.models import Device
from devices.services import firmware
from devices.services.alerts import publish_change
from hospital.audit.services import Actor, record
from hospital.base.states import StaleState


@dataclass(frozen=True, slots=True)
class Field:
    """One thing a microscope can be told. Numbers lie in least..most, both allowed."""

    name: str
    label: str
    help: str
    kind: type[int] | type[float] | type[str]
    least: float = 0
    most: float = 0


FIELDS = (
    Field("heartbeat_seconds", "Heartbeat every", "Seconds, 5 to 3600.", int, 5, 3600),
    Field(
        "minimum_firmware",
        "Minimum firmware",
        "A version such as 1.4.2; below it an alert is raised.",
        str,
    ),
    Field(
        "minimum_focus",
        "Minimum focus",
        "Less sharp pictures are taken again before they are sent; 1 to 4, 0 for any.",
        float,
        0,
        4,
    ),
    Field(
        "minimum_brightness",
        "Minimum brightness",
        "Of the bare glass, 0 (black) to 255; darker pictures are taken again.",
        int,
        0,
        255,
    ),
    Field(
        "maximum_clipped",
        "Most white",
        "Share of pure white, 0 to 1; pictures with more of it are taken again.",
        float,
        0,
        1,
    ),
    Field(
        "keep_days",
        "Keep delivered pictures",
        "Days, 0 to 90; 0 deletes a picture once it is safe here.",
        int,
        0,
        90,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What a microscope is told; None leaves it to the microscope. Units as in `FIELDS`."""

    heartbeat_seconds: int
    minimum_firmware: str = ""
    minimum_focus: float | None = None
    minimum_brightness: int | None = None
    maximum_clipped: float | None = None
    keep_days: int | None = None

    def as_told(self) -> dict[str, Any]:
        """What goes over the wire: what is set, by name."""
        return {name: value for name, value in asdict(self).items() if value not in {None, ""}}

    @property
    def digest(self) -> str:
        """The same for the same content."""
        text = json.dumps(self.as_told(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def configuration_of(device: Device) -> Configuration:
    """What `device` shall be told: its own values, else the hospital's."""
    known = {field.name for field in FIELDS}
    own = {name: value for name, value in device.configuration.items() if name in known}
    return Configuration(**{**settings.DEVICE_CONFIGURATION, **own})


@transaction.atomic
def configure(*, actor: Actor, device: Device, values: Mapping[str, Any]) -> bool:
    """Set some of what `device` is told; None or '' goes back to the hospital's default.

    Returns whether anything changed. The microscope learns of it with its next heartbeat.

    Raises:
        django.core.exceptions.ValidationError: by field, what is unknown or out of range.
        hospital.base.states.StaleState: somebody else has just changed it.
    """
    cleaned = _cleaned(values)
    before = device.configuration
    after = {name: value for name, value in (before | cleaned).items() if value is not None}
    if after == before:
        return False
    device.configuration = after
    digest = configuration_of(device).digest
    # Compare and swap: of two who change it at once, the second is told.
    rows = Device.objects.filter(pk=device.pk, revision=device.revision)
    changed = rows.update(
        configuration=after, configuration_digest=digest, revision=device.revision + 1
    )
    device.refresh_from_db()
    if not changed:
        raise StaleState("This microscope has changed meanwhile. Reload it and try again.")
    changes = {name: [before.get(name), after.get(name)] for name in cleaned}
    record(
        actor,
        "device.configured",
        device,
        clinic_id=device.clinic_id,
        revision=device.revision,
        changes={name: pair for name, pair in changes.items() if pair[0] != pair[1]},
    )
    publish_change(device)
    return True


def settle_revision(device: Device) -> Configuration:
    """What `device` shall be told, its revision gone up if the hospital's defaults have changed."""
    configuration = configuration_of(device)
    digest = configuration.digest
    if device.configuration_digest != digest:
        # The first digest a microscope gets is no change of anything.
        step = 1 if device.configuration_digest else 0
        rows = Device.objects.filter(pk=device.pk, revision=device.revision)
        rows.update(configuration_digest=digest, revision=device.revision + step)
        device.refresh_from_db(fields=["revision", "configuration", "configuration_digest"])
    return configuration_of(device)


def _cleaned(values: Mapping[str, Any]) -> dict[str, Any]:
    fields = {field.name: field for field in FIELDS}
    cleaned: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for name, value in values.items():
        try:
            cleaned[name] = _value(fields[name], value)
        except KeyError:
            errors[name] = "A microscope cannot be told this."
        except ValueError as error:
            errors[name] = str(error)
    if errors:
        raise ValidationError(errors)
    return cleaned


def _value(field: Field, value: Any) -> Any:
    """The value as its kind, None when it is not set; ValueError says what is wrong."""
    if value is None or value == "":
        return None
    if field.kind is str:
        if firmware.parsed(str(value)) is None:
            raise ValueError("Give a version such as 1.4.2.")
        return str(value).strip()
    whole = "a whole number" if field.kind is int else "a number"
    wrong = ValueError(f"Give {whole} between {field.least:g} and {field.most:g}.")
    try:
        number = field.kind(value)
    except (TypeError, ValueError) as error:
        raise wrong from error
    if isinstance(value, bool) or number != float(value):
        raise wrong
    if not field.least <= number <= field.most:
        raise wrong
    return number
