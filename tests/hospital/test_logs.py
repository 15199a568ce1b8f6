"""Promises of the logs: what a picture caused can be followed, and no line names a patient."""

import io
import json
import logging
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from diagnostics.models import Outcome
from hospital.base import logs
from hospital.live.models import Event
from tests.world import BENIGN, World, content_digest

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """Every line of the product, as an installation with LOG_FORMAT=json writes it."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.addFilter(logs.Following())
    handler.setFormatter(logs.JsonLines())
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield written
    root.setLevel(level)
    root.removeHandler(handler)


def send(client: Client, world: World, image_id: uuid.UUID, seed: int = 1) -> Any:
    body = world.smear(seed)
    return client.put(
        reverse("api:device-image", kwargs={"image_id": str(image_id)}),
        body,
        content_type="image/jpeg",
        headers={
            "Authorization": f"Bearer {world.key}",
            "Content-Digest": content_digest(body),
            "Accession-Number": world.specimen.accession,
        },
    )


def parsed(written: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written.getvalue().splitlines()]


def test_a_picture_is_followed_from_its_request_to_the_event_on_the_screen(
    client: Client, world: World, lines: io.StringIO
) -> None:
    image_id = uuid.uuid4()
    answer = send(client, world, image_id)
    assert answer.status_code == 201
    assert answer["X-Request-ID"] == str(image_id)
    image = world.device.images.get(pk=image_id)
    world.succeed(image)
    told = [line for line in parsed(lines) if line["trace"] == str(image_id)]
    assert {line["logger"] for line in told} >= {
        "hospital.requests",
        "diagnostics.services.results",
    }
    events = Event.objects.filter(kind="report.changed").values_list("trace", flat=True)
    assert set(events) == {str(image_id)}


def test_no_line_says_who_a_patient_is(client: Client, world: World, lines: io.StringIO) -> None:
    image_id = uuid.uuid4()
    send(client, world, image_id)
    world.succeed(world.device.images.get(pk=image_id), BENIGN, outcome=Outcome.CLASSIFIED)
    send(client, world, uuid.uuid4(), seed=2)
    client.force_login(world.haematologist)
    patient = world.patient
    client.get(reverse("worklist"), {"q": patient.family_name})
    client.get(reverse("case", args=[world.specimen.report.pk]))
    client.get("/no/such/address/" + patient.mrn)
    client.force_login(world.guardian)
    client.get(reverse("portal"))
    text = lines.getvalue()
    assert "hospital.requests" in text
    for secret in (patient.family_name, patient.given_names, patient.mrn, world.specimen.accession):
        assert secret not in text


def test_a_client_may_name_its_request_but_not_write_the_log(client: Client) -> None:
    named = client.get("/login/", headers={"X-Request-ID": "bench-7-2026"})
    assert named["X-Request-ID"] == "bench-7-2026"
    forged = client.get("/login/", headers={"X-Request-ID": 'x"}\n{"level": "ok"}'})
    assert '"' not in forged["X-Request-ID"]


def test_an_error_is_one_line_too(lines: io.StringIO) -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError:
        logging.getLogger("hospital.tests").exception("it broke")
    line = parsed(lines)[-1]
    assert line["message"] == "it broke"
    assert "ValueError" in line["error"]


@pytest.mark.parametrize("formatter", [logs.Lines(), logs.JsonLines()])
def test_a_row_that_the_database_refused_is_not_quoted(
    world: World, formatter: logging.Formatter
) -> None:
    try:
        raise ValueError("duplicate key\nDETAIL:  Key (mrn)=(N-1) already exists.")
    except ValueError as error:
        record = logging.LogRecord(
            "x", logging.ERROR, "x.py", 1, "not stored", (), (type(error), error, None)
        )
    assert "N-1" not in formatter.format(record)
