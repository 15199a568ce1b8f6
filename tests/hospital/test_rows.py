"""Rows read by one column are those that Django's own query would find, in the same order."""

import uuid
from typing import Any

import pytest
from django.db import transaction

from devices.models import DeviceKey
from diagnostics.models import DiagnosticReport, FieldImage, Specimen
from hospital.base.rows import rows_by
from tests.world import World

pytestmark = pytest.mark.django_db


def values(row: Any) -> dict[str, Any]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


@pytest.mark.parametrize(
    ("model", "column"),
    [
        (Specimen, "accession"),
        (FieldImage, "id"),
        (FieldImage, "sha256"),
        (DeviceKey, "prefix"),
        (DiagnosticReport, "specimen"),
    ],
)
def test_rows_are_the_same_to_the_field(world: World, model: Any, column: str) -> None:
    """Ids, times, JSON and truth values too, which the databases keep in ways of their own."""
    for seed in range(3):
        world.receive(seed=seed)
    world.succeed(FieldImage.objects.first())
    attname = model._meta.get_field(column).attname
    wanted = list(model.objects.order_by(column).values_list(attname, flat=True))[:2]
    expected = list(model.objects.filter(**{f"{column}__in": wanted}).order_by(attname))

    with transaction.atomic():
        found = rows_by(model, column, [*wanted[::-1], uuid.uuid4().hex], locked=True)

    assert wanted
    assert found == expected
    assert [values(row) for row in found] == [values(row) for row in expected]


def test_for_no_values_the_database_is_not_asked(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        assert rows_by(Specimen, "accession", []) == []


def test_a_value_is_never_taken_for_sql(world: World) -> None:
    assert rows_by(Specimen, "accession", ["' OR '1'='1", "%s", '"']) == []
