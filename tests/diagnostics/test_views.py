"""Promises of saved views: each person's own, one opens first, and sharing names no patient."""

from typing import Any

import pytest
from django.urls import reverse

from diagnostics.models import SavedView
from diagnostics.services import views
from hospital.base.problems import Conflict, Forbidden, Refusal
from tests.diagnostics.test_pages import client_of
from tests.world import BENIGN


def save(world: Any, who: str = "haematologist", **posted: str) -> Any:
    return client_of(getattr(world, who)).post(reverse("view-save"), posted)


def names(world: Any, who: str) -> list[str]:
    page = client_of(getattr(world, who)).get(reverse("worklist"))
    return [one["view"].name for one in page.context["views"]]


def test_a_view_brings_back_tab_filters_and_search(world: Any) -> None:
    query = "show=all&q=rahman&reading=uncertain&age=week&after=1_x"
    answer = save(world, name="  Doubtful  cases ", query=query)
    kept = "show=all&q=rahman&reading=uncertain&age=week"
    assert answer["Location"] == f"/worklist/?{kept}"
    view = SavedView.objects.get()
    assert (view.name, view.query, view.owner) == ("Doubtful cases", kept, world.haematologist)
    page = client_of(world.haematologist).get(answer["Location"])
    assert [one["current"] for one in page.context["views"]] == [True]


def test_a_view_is_its_owners_alone_until_it_is_shared(world: Any) -> None:
    save(world, name="Mine", query="show=held")
    save(world, name="Ours", query="show=failed", share="north")
    assert names(world, "haematologist") == ["Mine", "Ours"]
    assert names(world, "technician") == ["Ours"]
    assert names(world, "outsider") == []


def test_a_shared_view_is_changed_by_its_owner_only(world: Any) -> None:
    save(world, name="Ours", query="show=failed", share="north")
    view = SavedView.objects.get()
    forget = reverse("view-deed", args=[view.pk, "forget"])
    client_of(world.technician).post(forget)
    assert SavedView.objects.exists()
    with pytest.raises(Forbidden):
        views.open_first(user=world.technician, view=view)
    client_of(world.haematologist).post(forget)
    assert not SavedView.objects.exists()


def test_a_view_with_a_search_in_it_is_not_shared(world: Any) -> None:
    """The words may be a patient's name."""
    save(world, name="Amina", query="q=rahman", share="north")
    assert not SavedView.objects.exists()


@pytest.mark.parametrize("clinic", ["south", "nowhere"])
def test_a_view_is_shared_only_where_one_reads(world: Any, clinic: str) -> None:
    assert save(world, name="Ours", query="show=failed", share=clinic).status_code == 404
    with pytest.raises(Forbidden):
        views.save_view(
            user=world.haematologist, name="x", query="show=all", clinic=world.other_clinic
        )
    assert not SavedView.objects.exists()


def test_one_view_opens_first_and_an_address_says_otherwise(world: Any) -> None:
    world.reported(BENIGN)
    client = client_of(world.haematologist)
    save(world, name="Failures", query="show=failed", first="on")
    assert client.get(reverse("worklist")).context["choice"].tab == "failed"
    assert client.get(reverse("worklist"), {"show": "review"}).context["choice"].tab == "review"
    save(world, name="Signed", query="show=signed", first="on")
    assert client.get(reverse("worklist")).context["choice"].tab == "signed"
    assert SavedView.objects.filter(opens_first=True).count() == 1
    deed = reverse("view-deed", args=[SavedView.objects.get(name="Signed").pk, "opens-first"])
    client.post(deed)
    assert client.get(reverse("worklist")).context["choice"].tab == "review"
    assert client_of(world.technician).get(reverse("worklist")).context["choice"].tab == "review"


def test_what_a_colleague_shares_does_not_open_first_for_others(world: Any) -> None:
    save(world, name="Ours", query="show=failed", share="north", first="on")
    assert client_of(world.technician).get(reverse("worklist")).context["choice"].tab == "review"


def test_the_same_name_replaces_and_there_is_an_end_to_them(world: Any) -> None:
    save(world, name="Mine", query="show=held")
    save(world, name="Mine", query="show=failed")
    assert SavedView.objects.get().query == "show=failed"
    for number in range(views.MOST - 1):
        save(world, name=f"View {number}", query="show=all")
    with pytest.raises(Conflict, match="Forget one"):
        views.save_view(user=world.haematologist, name="One more", query="show=all")
    with pytest.raises(Refusal, match="name"):
        views.save_view(user=world.haematologist, name="  ", query="show=all")
