"""Sessions: how long one lasts, the list of one's own, and ending them, sockets included."""

import ipaddress
import time
from collections.abc import Mapping
from datetime import timedelta
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.models import Session
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from hospital.accounts.models import SignIn, User
from hospital.accounts.signin.lockouts import clinic_of, forgive
from hospital.audit.services import Actor, record
from hospital.base.proxies import sender_of
from hospital.live.services import recheck

# What a session itself remembers, in seconds since 1970: no query is needed to judge it.
BEGUN, SEEN = "signed_in_at", "seen_at"
# How often a click is noted: a write for each would cost more than the page.
NOTED_EVERY = 60
UNATTENDED_SECONDS = 600
BROWSERS = [
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
]
SYSTEMS = [
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS", "Mac"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
]


@transaction.atomic
def opened(request: HttpRequest, user: User, **_: Any) -> None:
    """Told by Django when anybody has signed in, by whatever door: begin the session's clock."""
    if request.session.session_key is None:
        request.session.create()
    now = int(time.time())
    request.session[BEGUN] = request.session[SEEN] = now
    device = device_of(request)
    SignIn.objects.update_or_create(
        session_key=request.session.session_key,
        defaults={
            "user": user,
            "device": device,
            "network": network_of(sender_of(request)),
            "seen_at": timezone.now(),
        },
    )
    forgive(user)
    actor = Actor.user(user)
    record(actor, "session.opened", user, clinic_id=clinic_of(user), device=device)


def open_unattended(user: User) -> str:
    """A session of the probe's account, which no password opens; its key. It is short-lived."""
    session = import_module(settings.SESSION_ENGINE).SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session[BEGUN] = session[SEEN] = int(time.time())
    session.set_expiry(UNATTENDED_SECONDS)
    session.create()
    return str(session.session_key)


def carried_on(request: HttpRequest, former_key: str | None) -> None:
    """The same session has another key now, as after a new password."""
    now = request.session.session_key
    SignIn.objects.filter(session_key=former_key).update(session_key=now)


def is_within_limits(session: Mapping[str, Any]) -> bool:
    """Whether the session is neither too old nor too long unused."""
    now = time.time()
    begun, seen = session.get(BEGUN, now), session.get(SEEN, now)
    idle, longest = settings.SESSION_IDLE_MINUTES * 60, settings.SESSION_HOURS * 3600
    return bool(now - begun < longest and now - seen < idle)


def seen(request: HttpRequest) -> None:
    """Note that the person did something, at most once a minute."""
    session, now = request.session, int(time.time())
    if now - session.get(SEEN, 0) < NOTED_EVERY:
        return
    session[SEEN] = now
    session.setdefault(BEGUN, now)
    SignIn.objects.filter(session_key=session.session_key).update(seen_at=timezone.now())


def sessions_of(user: Any) -> list[SignIn]:
    """Where `user` is signed in just now, the last used first."""
    living = Session.objects.filter(expire_date__gt=timezone.now()).values("session_key")
    oldest = timezone.now() - timedelta(hours=settings.SESSION_HOURS)
    idle = timezone.now() - timedelta(minutes=settings.SESSION_IDLE_MINUTES, seconds=NOTED_EVERY)
    mine = SignIn.objects.filter(user_id=user.pk, at__gt=oldest, seen_at__gt=idle)
    return list(mine.filter(session_key__in=living))


@transaction.atomic
def left(session_key: str | None) -> None:
    """The person has signed out on that device themselves; its other pages are shut at once."""
    for sign_in in SignIn.objects.filter(session_key=session_key or "").select_related("user"):
        user = sign_in.user
        sign_in.delete()
        record(Actor.user(user), "session.closed", user, clinic_id=clinic_of(user))
        recheck(user.pk)


@transaction.atomic
def end(*, actor: Actor, sign_in: SignIn) -> None:
    """Sign somebody out on one device; its pages are shut at once."""
    store_of(sign_in.session_key).delete()
    sign_in.delete()
    record(actor, "session.ended", sign_in.user, clinic_id=clinic_of(sign_in.user))
    recheck(sign_in.user_id)


@transaction.atomic
def end_all(*, actor: Actor, user: User, keep: str | None = None) -> int:
    """Sign `user` out everywhere, but for the session with the key `keep`.

    Returns how many sessions ended. Every open socket of theirs is looked at again at once.
    """
    ended = 0
    for sign_in in SignIn.objects.filter(user=user).exclude(session_key=keep or ""):
        store_of(sign_in.session_key).delete()
        sign_in.delete()
        ended += 1
    if ended:
        record(actor, "sessions.ended", user, clinic_id=clinic_of(user), count=ended)
    recheck(user.pk)
    return ended


def forget_old() -> int:
    """Delete the rows of sessions that are over. Returns how many."""
    Session.objects.filter(expire_date__lt=timezone.now()).delete()
    living = Session.objects.values("session_key")
    return SignIn.objects.exclude(session_key__in=living).delete()[0]


def device_of(request: HttpRequest) -> str:
    """The browser and the system in two words, as far as the browser tells."""
    told = request.META.get("HTTP_USER_AGENT", "")
    browser = next((name for mark, name in BROWSERS if mark in told), "")
    system = next((name for mark, name in SYSTEMS if mark in told), "")
    return ", ".join(part for part in (browser, system) if part) or "Unknown device"


def network_of(address: str) -> str:
    """The network an address is in: its first three parts, of IPv6 the first 48 bits."""
    try:
        given = ipaddress.ip_address(address)
    except ValueError:
        return ""
    return str(ipaddress.ip_network((given, 24 if given.version == 4 else 48), strict=False))


def store_of(session_key: str) -> Any:
    """The session with that key, as Django stores it."""
    return import_module(settings.SESSION_ENGINE).SessionStore(session_key)
