"""Rows read by one column are those that Django would find; rows added are those it would add."""

import uuid
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, transaction

from devices.models import DeviceKey
from diagnostics.models import Analysis, DiagnosticReport, FieldImage, Specimen
from hospital.audit.models import Entry
from hospital.base.rows import insert, rows_by, update
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


def test_the_row_beside_comes_along_without_another_question(
    world: World, django_assert_num_queries: Any
) -> None:
    expected = DeviceKey.objects.select_related("device").get(prefix=world.key.split("_")[1])
    with django_assert_num_queries(1):
        [found] = rows_by(DeviceKey, "prefix", [expected.prefix], beside="device")
        assert found == expected and values(found) == values(expected)
        assert values(found.device) == values(expected.device)


def test_what_is_asked_along_becomes_an_attribute(world: World) -> None:
    rows = rows_by(
        DeviceKey,
        "prefix",
        [world.key.split("_")[1]],
        beside="device",
        also={"twice": "2 * 2", "name": "devices_device.name"},
    )
    assert [(row.twice, row.name) for row in rows] == [(4, world.device.name)]


def test_a_row_is_changed_where_it_was_named_and_nowhere_else(world: World) -> None:
    world.receive()
    report = DiagnosticReport.objects.get()
    report.findings, report.version, report.comment = {"a": [None, "é"]}, 7, "not to be stored"
    update(report, ["findings", "version"])
    stored = DiagnosticReport.objects.get()
    assert values(stored) == values(report) | {"comment": ""}
    report.pk = uuid.uuid4()
    with pytest.raises(DatabaseError, match="not there"):
        update(report, ["version"])


def test_rows_of_several_tables_are_added_as_django_would_add_them(world: World) -> None:
    image = world.receive()
    first, image.pk, image.storage_key = image.pk, uuid.uuid4(), "a 'key' of 100 %s"
    analysis, entry = Analysis(image=image, quality={"a": [1, None, "é"]}), Entry(action="tried.it")
    insert([image], [], [analysis], [entry])
    assert values(FieldImage.objects.get(pk=image.pk)) == values(image)
    assert values(Analysis.objects.get(pk=analysis.pk)) == values(analysis)
    stored = Entry.objects.get(action="tried.it")
    assert values(stored) == values(entry) | {"id": stored.pk}
    image.size = 2
    image.save()  # it knows that it is stored
    assert FieldImage.objects.exclude(pk=first).get().size == 2


def test_more_rows_than_one_statement_takes_are_added_all_the_same(world: World) -> None:
    insert([Entry(action="tried.often", subject_id=str(number)) for number in range(3000)])
    told = Entry.objects.filter(action="tried.often").order_by("pk")
    assert list(told.values_list("subject_id", flat=True)) == [str(n) for n in range(3000)]


def test_rows_that_cannot_be_added_are_refused_as_django_refuses_them(world: World) -> None:
    image = world.receive()
    with pytest.raises(IntegrityError), transaction.atomic():
        insert([FieldImage.objects.get(pk=image.pk)])
    insert([], [])
    assert FieldImage.objects.count() == 1
