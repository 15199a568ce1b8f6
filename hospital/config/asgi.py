"""The door for HTTP and websockets."""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hospital.config.settings")
django.setup()

# Only after Django is set up may apps be imported.
from channels.auth import AuthMiddlewareStack  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from channels.security.websocket import AllowedHostsOriginValidator  # noqa: E402
from django.conf import settings  # noqa: E402
from django.urls import get_resolver, reverse  # noqa: E402

from hospital.config.bodylimit import BodyLimit  # noqa: E402
from hospital.config.crowd import Crowd  # noqa: E402
from hospital.config.cutshort import KeepCutShort  # noqa: E402
from hospital.config.routing import websocket_urlpatterns  # noqa: E402
from hospital.config.threads import ThreadedHandler  # noqa: E402

# Every view is loaded before the first request comes, not by it.
assert get_resolver().url_patterns
_threads = ThreadPoolExecutor(settings.WEB_THREADS, thread_name_prefix="request")
_people = ThreadedHandler(_threads, most=settings.WEB_THREADS)
# However many microscopes send, two threads are left for people.
_microscopes = Crowd(
    ThreadedHandler(
        _threads, most=max(1, settings.WEB_THREADS - 2), middleware=settings.DEVICE_MIDDLEWARE
    ),
    most=settings.MAX_UPLOADS_AT_ONCE,
    most_bytes=settings.MAX_BYTES_AT_ONCE,
    limit=settings.MAX_UPLOAD_BYTES,
)
_DEVICE_API = reverse("api:device-images").removesuffix("images")


async def http(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Microscopes have no session, no form and no browser: they pass none of what guards those."""
    handler = _microscopes if scope["path"].startswith(_DEVICE_API) else _people
    await handler(scope, receive, send)


limited = BodyLimit(http, limit=settings.MAX_UPLOAD_BYTES)
application = ProtocolTypeRouter(
    {
        "http": KeepCutShort(limited, below=reverse("api:device-uploads")),
        "websocket": AllowedHostsOriginValidator(
            AuthMiddlewareStack(URLRouter(websocket_urlpatterns))
        ),
    }
)
