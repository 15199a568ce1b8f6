"""The API describes itself: to programs without a fault, to people without a script."""

import io
import re

import pytest
from django.core.management import call_command
from django.test import Client

from hospital.config.api_docs import groups
from tests.world import World

pytestmark = pytest.mark.django_db


def test_the_schema_is_valid_and_complete() -> None:
    schema = io.StringIO()
    call_command("spectacular", validate=True, fail_on_warn=True, stdout=schema)
    text = schema.getvalue()
    for word in ["deviceKey", "staffSession", "application/problem+json", "digest_mismatch"]:
        assert word in text


def test_the_page_shows_every_address(world: World) -> None:
    client = Client()
    client.force_login(world.technician)
    text = client.get("/api/docs/").content.decode()
    operations = [op for group in groups() for op in group.operations]
    assert len(operations) > 25
    for operation in operations:
        assert f'id="{operation.anchor}"' in text
        assert operation.path in text
    assert groups()[0].name == "device"
    assert "images[].probabilities.pre_b" in text


def test_the_page_lives_under_the_strict_policy(world: World) -> None:
    client = Client()
    client.force_login(world.technician)
    answer = client.get("/api/docs/")
    assert "unsafe" not in answer["Content-Security-Policy"]
    text = answer.content.decode()
    assert not re.search(r"<style|\sstyle=|<script>|\son\w+=", text)
