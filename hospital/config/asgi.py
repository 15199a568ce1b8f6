"""The door for HTTP and websockets."""

import os

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
from hospital.config.cutshort import KeepCutShort  # noqa: E402
from hospital.config.routing import websocket_urlpatterns  # noqa: E402
from hospital.config.threads import ThreadedHandler  # noqa: E402

# Every view is loaded before the first request comes, not by it.
assert get_resolver().url_patterns
http = ThreadedHandler(settings.WEB_THREADS)
limited = BodyLimit(http, limit=settings.MAX_UPLOAD_BYTES)
application = ProtocolTypeRouter(
    {
        "http": KeepCutShort(limited, below=reverse("api:device-uploads")),
        "websocket": AllowedHostsOriginValidator(
            AuthMiddlewareStack(URLRouter(websocket_urlpatterns))
        ),
    }
)
