"""Both APIs answer whatever their own description allows, and whatever it forbids, as it says.

For every operation of the OpenAPI document schemathesis makes requests, sound ones and others, and
compares the answers with the document: never 500, no status and no form that it does not name.
Half of them speak of objects that there are, so that they do not all end in 404.
`python -m tests.drills apis --examples 200` tries many; here are a few.
"""

import os
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, transaction
from django.test import Client
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from diagnostics.models import FieldImage
from tests.world import World

pytestmark = pytest.mark.django_db
EXAMPLES = int(os.environ.get("API_EXAMPLES", "4"))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


# A piece of a picture is bytes.
schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")


def _described() -> Any:
    document = SchemaGenerator().get_schema(request=None, public=True)
    schema = schemathesis.openapi.from_dict(document)
    schema.app = get_wsgi_application()
    return schema


SCHEMA = _described()
OPERATIONS = {result.ok().label: result.ok() for result in SCHEMA.get_all_operations()}


@pytest.fixture(autouse=True)
def _connection_stays() -> Iterator[None]:
    """Requests of a server close connections when they are old; this one is the test's."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


@pytest.mark.parametrize("label", OPERATIONS)
def test_every_operation_answers_as_it_is_described(world: World, label: str) -> None:
    operation = OPERATIONS[label]
    known = _known(world)
    hands = _hands(world)

    @_tried
    @given(case=operation.as_strategy(), hand=st.sampled_from(hands), real=st.booleans())
    def answers_as_described(case: Any, hand: dict[str, Any], real: bool) -> None:
        if real:
            for name in case.path_parameters:
                case.path_parameters[name] = known.get(_what(operation.path, name), uuid.uuid4())
        with transaction.atomic():
            answer = case.call(**hand)
            transaction.set_rollback(True)
        case.validate_response(answer, checks=CHECKS)

    answers_as_described()


def _what(path: str, name: str) -> str:
    """What a parameter of the path stands for: the word before it."""
    return path.split(f"/{{{name}}}", maxsplit=1)[0].rpartition("/")[2]


def _known(world: World) -> dict[str, Any]:
    """Objects that there are, by the word before them in an address."""
    report = world.reported()
    image = FieldImage.objects.get()
    return {
        "patients": world.patient.pk,
        "portal-access": world.guardian.portal_access.get().pk,
        "devices": world.device.pk,
        "keys": world.device.keys.get().pk,
        "specimens": world.specimen.pk,
        "control-slides": world.control_slide.pk,
        "reports": report.pk,
        "analyses": image.analyses.get().pk,
        "images": image.pk,
    }


def _hands(world: World) -> list[dict[str, Any]]:
    """Headers and cookies of those who may do most, and of nobody."""
    staff = [world.technician, world.haematologist, world.device_manager, world.administrator]
    return [*map(_session, staff), {"headers": {"Authorization": f"Bearer {world.key}"}}, {}]


def _session(user: Any) -> dict[str, Any]:
    client = Client()
    client.force_login(user)
    token = "a" * 32
    cookies = {name: morsel.value for name, morsel in client.cookies.items()}
    return {"cookies": {**cookies, "csrftoken": token}, "headers": {"X-CSRFToken": token}}


def _tried(test: Any) -> Any:
    return settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )(test)
