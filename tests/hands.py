"""People at the admin, for tests: who opens which page, who sends what."""

from typing import Any

from django.test import Client
from django.urls import reverse

from hospital.accounts.models import User


def signed_in(user: User) -> Client:
    """Their browser."""
    client = Client()
    client.force_login(user)
    return client


def page(user: User, name: str, /, *args: Any, **query: Any) -> Any:
    """GET an admin page by its name."""
    return signed_in(user).get(reverse(f"admin:{name}", args=args), query)


def send(user: User, name: str, /, *args: Any, **fields: Any) -> Any:
    """POST a form to an admin page and follow where it leads."""
    address = reverse(f"admin:{name}", args=args)
    return signed_in(user).post(address, fields, follow=True)


def errors(answer: Any) -> str:
    """What the form on the page complains about."""
    form = answer.context and answer.context.get("adminform")
    return str(form.form.errors) if form else ""
