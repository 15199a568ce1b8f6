"""The product's own settings in a folder of their own; TEST_DATABASE_URL picks the database."""

import os
import tempfile

os.environ.setdefault("LEUKOLENS_VAR", tempfile.mkdtemp(prefix="leukolens-tests-"))
os.environ.setdefault("SECRET_KEY", "for tests only")
# No broker unless a test brings one: an address where nobody answers, which intake must survive.
os.environ.setdefault("REDIS_URL", "redis://127.0.0.1:1/0")
if "TEST_DATABASE_URL" in os.environ:
    os.environ["DATABASE_URL"] = os.environ["TEST_DATABASE_URL"]

from hospital.config.settings import *  # noqa: F403

# Fast hashing: the tests are not about Argon2.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES["staticfiles"] = {  # noqa: F405
    "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
}
CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}

if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":  # noqa: F405
    # A file, so that threads meet in it as they do in an installation.
    DATABASES["default"]["TEST"] = {"NAME": str(VAR_DIR / "tests.sqlite3")}  # noqa: F405
# A connection that outlives its request would stand in the way of dropping the tests' database.
DATABASES["default"]["CONN_MAX_AGE"] = 0  # noqa: F405
LIVE_TICK_SECONDS = 0.2
STATIC_ROOT.mkdir(parents=True, exist_ok=True)  # noqa: F405
# Many hands at one address.
VERIFICATIONS_PER_MINUTE = 10_000
