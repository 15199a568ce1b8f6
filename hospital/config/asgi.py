"""The door for HTTP and websockets."""

import os
import warnings

from django.core.asgi import get_asgi_application

# WhiteNoise opens its files the synchronous way; they are small and cached by browsers for good.
warnings.filterwarnings("ignore", message="StreamingHttpResponse must consume synchronous")

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hospital.config.settings")
http = get_asgi_application()

# Only after Django is set up may apps be imported.
from channels.auth import AuthMiddlewareStack  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from channels.security.websocket import AllowedHostsOriginValidator  # noqa: E402
from django.conf import settings  # noqa: E402

from hospital.config.bodylimit import BodyLimit  # noqa: E402
from hospital.config.routing import websocket_urlpatterns  # noqa: E402

application = ProtocolTypeRouter(
    {
        "http": BodyLimit(http, limit=settings.MAX_UPLOAD_BYTES),
        "websocket": AllowedHostsOriginValidator(
            AuthMiddlewareStack(URLRouter(websocket_urlpatterns))
        ),
    }
)
