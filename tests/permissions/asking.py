"""Asking at an address as one of the hands."""

from collections.abc import Iterable
from http.cookies import SimpleCookie
from typing import Any

from django.test import Client
from django.urls import reverse

from hospital.accounts.models import User
from tests.permissions.scene import Scene
from tests.permissions.table import Line
from tests.tus import PIECE, metadata, particulars
from tests.world import content_digest

Cookies = dict[str, SimpleCookie]


def cookies_of(where: Any, hands: Iterable[str]) -> Cookies:
    """Of whoever of `hands` is a person with an account in the scene or the world."""
    found = {hand: getattr(where, hand, None) for hand in hands}
    return {hand: _signed_in(user) for hand, user in found.items() if isinstance(user, User)}


def _signed_in(user: Any) -> SimpleCookie:
    client = Client()
    client.force_login(user)
    return client.cookies


def outcome(answer: Any) -> str:
    """The status as text; a redirect to a sign-in page is 'in'."""
    if answer.status_code == 302 and "/login/?next=" in answer["Location"]:
        return "in"
    return str(answer.status_code)


def ask(
    line: Line, scene: Scene, hand: str, cookies: Cookies, *, enforce_csrf: bool = False
) -> Any:
    """The answer that `hand` gets; whatever is written stays."""
    client = Client(enforce_csrf_checks=enforce_csrf)
    client.cookies = (
        SimpleCookie(cookies[hand].output(header="")) if hand in cookies else client.cookies
    )
    headers = {}
    if hand in ("device", "other_device"):
        key = scene.world.key if hand == "device" else scene.world.other_key
        headers["Authorization"] = f"Bearer {key}"
    address = reverse(line.route, kwargs=line.args(scene))
    body: Any = line.body(scene)
    options: dict[str, Any] = {"headers": headers}
    if line.route.startswith("api:") and line.method != "GET":
        options["content_type"] = "application/json"
    if line.method == "PUT":
        body = scene.world.smear(99)
        headers |= {"Content-Digest": content_digest(body), "Accession-Number": "N-2"}
        options["content_type"] = "image/jpeg"
    if line.route.startswith("api:device-upload"):
        told = metadata(particulars(b"x", "N-2"))
        headers |= {"Tus-Resumable": "1.0.0", "Upload-Length": "2", "Upload-Metadata": told}
        headers |= {"Upload-Offset": "0"}
        body, options["content_type"] = b"x", PIECE
    return getattr(client, line.method.lower())(address, body, **options)
