"""All settings, given by environment variables; the defaults are the embedded installation.

`docs/operate.md` lists every name. Nothing here differs between one machine and a hospital but
the values.
"""

import os
import secrets
from ipaddress import ip_network
from pathlib import Path

import environ
from celery.schedules import crontab
from csp.constants import NONE, SELF
from django.conf.locale import LANG_INFO
from redis.exceptions import ConnectionError as RedisConnectionError

# NAME_FILE is read for NAME, as containers pass secrets on.
env = environ.FileAwareEnv()

BASE_DIR = Path(__file__).resolve().parents[2]
# Everything a running installation keeps: database, files, logs.
VAR_DIR = Path(env.str("LEUKOLENS_VAR", str(BASE_DIR / "var")))
# For the installation's own eyes: it holds patients.
VAR_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)


def _secret_key() -> str:
    """The key from the environment, else one made once and kept beside the data."""
    if given := env.str("SECRET_KEY", ""):
        return str(given)
    path = VAR_DIR / "secret-key"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(50))
    return path.read_text()


DEBUG = env.bool("DEBUG", False)
SECRET_KEY = _secret_key()
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
# Where people outside find the web, for addresses on paper; '' is where the request came to.
PUBLIC_URL = env.str("PUBLIC_URL", "").rstrip("/")
# Checks of printed reports in a minute, from one address at one web process.
VERIFICATIONS_PER_MINUTE = env.int("VERIFICATIONS_PER_MINUTE", 30)

INSTALLED_APPS = [
    "hospital.config.apps.LeukolensAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "rest_framework",
    "django_filters",
    "django_htmx",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "hospital.base",
    "hospital.accounts",
    "hospital.audit",
    "hospital.live",
    "patients",
    "devices",
    "diagnostics",
    "hospital.config",
]

MIDDLEWARE = [
    "hospital.config.machines.ForMachines",
    "hospital.config.watched.Watched",
    "django.middleware.security.SecurityMiddleware",
    "hospital.config.nul.NoNul",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "hospital.accounts.languages.OwnLanguage",
    # Sessions that are over, staff without a second factor.
    "hospital.accounts.signin.middleware.SignInGuard",
    # Deny by default: a view is public only where it says so with @login_not_required.
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
]

# For the device API, whose views ask for a key and for nothing else.
DEVICE_MIDDLEWARE = [
    "hospital.config.watched.Watched",
    "django.middleware.security.SecurityMiddleware",
    "hospital.config.nul.NoNul",
    "django.middleware.common.CommonMiddleware",
]

ROOT_URLCONF = "hospital.config.urls"
ASGI_APPLICATION = "hospital.config.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# --- data -----------------------------------------------------------------------------------

DATABASES = {
    # Empty is as good as not given: a compose file cannot leave a variable out.
    "default": env.db_url_config(
        env.str("DATABASE_URL", "") or f"sqlite:///{VAR_DIR / 'leukolens.sqlite3'}"
    )
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # Measured: with these, concurrent writers queue; without, they fail with 'database is locked'.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": (
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
        ),
    }
else:
    DATABASES["default"]["ENGINE"] = "hospital.base.postgresql"
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    # A machine that is cut off in the middle of something must not keep its rows locked for hours,
    # nor wait so long itself for a database that is away.
    DATABASES["default"]["OPTIONS"] = {
        "connect_timeout": 5,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
        # What a connection has asked five times the server keeps, read and planned: an upload
        # costs it a third less.
        "server_side_binding": True,
        "prepare_threshold": 5 if env.bool("DATABASE_PREPARED_STATEMENTS", True) else None,
        # And what somebody says in the environment, which this would otherwise replace.
        "options": f"-c idle_in_transaction_session_timeout=60s {os.environ.get('PGOPTIONS', '')}",
        **DATABASES["default"].get("OPTIONS", {}),
    }
# The web serves requests in threads that stay (hospital.config.threads), and so do their
# connections: opening one costs several times what an upload does.
DATABASES["default"]["CONN_MAX_AGE"] = env.int("DATABASE_CONN_MAX_AGE", 600)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- files ----------------------------------------------------------------------------------

# How long the store may be silent before a picture is refused for now.
S3_TIMEOUT_SECONDS = env.float("S3_TIMEOUT_SECONDS", 10.0)
_S3_BUCKET = env.str("S3_BUCKET", "")
STORAGES = {
    "default": {
        "BACKEND": "hospital.base.store.ObjectStorage",
        "OPTIONS": {
            "bucket_name": _S3_BUCKET,
            "endpoint_url": env.str("S3_ENDPOINT_URL", "") or None,
            "access_key": env.str("S3_ACCESS_KEY", "") or None,
            "secret_key": env.str("S3_SECRET_KEY", "") or None,
            "default_acl": "private",
            # A signed address is for the proxy, which uses it at once.
            "querystring_expire": 60,
        },
    }
    if _S3_BUCKET
    else {
        "BACKEND": "hospital.base.files.DurableFileSystemStorage",
        "OPTIONS": {"location": VAR_DIR / "files"},
    },
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
# Whether the proxy in front fetches pictures from the store, once a view has allowed it.
FILES_BY_PROXY = bool(_S3_BUCKET) and env.bool("FILES_BY_PROXY", False)
STATIC_URL = "/static/"
STATIC_ROOT = Path(env.str("STATIC_ROOT", str(VAR_DIR / "static")))
STATICFILES_DIRS = [
    BASE_DIR / "hospital" / "config" / "static",
    # The same letters on the screen as on paper.
    ("fonts", BASE_DIR / "diagnostics" / "documents" / "fonts"),
]

# --- the wire -------------------------------------------------------------------------------

REDIS_URL = env.str("REDIS_URL", "redis://127.0.0.1:6379/0")
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "hospital.live.layer.PatientLayer",
        "CONFIG": {
            # socket_timeout: more than the five seconds for which channels-redis has Redis wait
            # for a message (redis-py 8 has five as well: django/channels_redis issue 422). One
            # try more, because a connection from before a restart of the broker is found dead
            # only when it is used.
            "hosts": [
                {
                    "address": REDIS_URL,
                    "socket_timeout": 15,
                    "socket_connect_timeout": 2,
                    "retry_on_error": [RedisConnectionError],
                }
            ],
            "prefix": "leukolens",
        },
    }
}

CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", REDIS_URL)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_DEFAULT_QUEUE = "housekeeping"
CELERY_TASK_ROUTES = {"diagnostics.tasks.analyse": {"queue": "analyses"}}
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 300,
    "unacked_restore_interval": 1,
    # A publisher must learn within seconds that the broker is away: the row is safe without it.
    "socket_connect_timeout": 2,
    "socket_timeout": 30,
    "retry_on_timeout": True,
    "max_retries": 1,
    "interval_start": 0.1,
}
CELERY_TASK_PUBLISH_RETRY = False
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE_FILENAME = str(VAR_DIR / "beat-schedule")
CELERY_BEAT_SCHEDULE = {
    "sweep": {
        "task": "diagnostics.tasks.sweep",
        "schedule": env.float("SWEEP_SECONDS", 5.0),
        "options": {"expires": 30},
    },
    "watch": {
        "task": "diagnostics.tasks.watch",
        "schedule": env.float("WATCH_SECONDS", 15.0),
        "options": {"expires": 60},
    },
    "drift": {
        "task": "diagnostics.tasks.watch_drift",
        "schedule": env.float("DRIFT_SECONDS", 3600.0),
    },
    "forget-old-sign-ins": {
        "task": "hospital.accounts.tasks.forget_old_sign_ins",
        "schedule": 3600.0,
        "options": {"expires": 3600},
    },
    "collect-references": {
        "task": "diagnostics.tasks.collect_references",
        "schedule": env.float("REFERENCES_SECONDS", 120.0),
        "options": {"expires": 120},
    },
    "seal-audit": {
        "task": "hospital.audit.tasks.seal",
        "schedule": env.float("AUDIT_SEAL_SECONDS", 10.0),
        "options": {"expires": 30},
    },
    "seal-what-was-missed": {
        "task": "hospital.audit.tasks.seal_what_was_missed",
        "schedule": 24 * 3600.0,
    },
    "tally": {
        "task": "diagnostics.tasks.tally",
        "schedule": env.float("TALLY_SECONDS", 1800.0),
        "options": {"expires": 1800},
    },
}

# Web processes that `manage.py stack` starts: Python runs one thread at a time, and what four
# microscopes send keeps two cores busy: there two took in 1.2 to 1.5 times as many as one.
# Never with SQLite, which has one writer at a time.
_SQLITE = DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3"
WEB_WORKERS = env.int("WEB_WORKERS", 1 if _SQLITE else min(4, os.cpu_count() or 1))
# Requests that one web process serves at once; each thread keeps a connection to the database.
WEB_THREADS = env.int("WEB_THREADS", 8)

# --- mail -----------------------------------------------------------------------------------

# smtp+tls://user:password@host:587; none is sent by default.
vars().update(env.email("EMAIL_URL", default="dummymail://"))
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.str("EMAIL_FROM", "leukolens@localhost")

# Whether families are told by mail that there is something new, never what.
PORTAL_MAILS = env.bool("PORTAL_MAILS", bool(env.str("EMAIL_URL", "")))

# --- sight ----------------------------------------------------------------------------------

# Who may read /metrics, by the address that the connection really comes from.
METRICS_NETWORKS = [
    ip_network(given.strip(), strict=False)
    for given in env.list("METRICS_NETWORKS", default=["127.0.0.0/8", "::1"])
]
# Where a worker serves its own; 0: nowhere. The web serves /metrics with its pages.
METRICS_PORT = env.int("METRICS_PORT", 0)

# --- rules of the house ---------------------------------------------------------------------

MAX_UPLOAD_BYTES = env.int("MAX_UPLOAD_BYTES", 30 * 1024 * 1024)
# The device API reads the body itself, after BodyLimit has measured it.
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_UPLOAD_BYTES
# Of microscopes, at one web process: bodies that arrive or wait for their answer, and their bytes.
MAX_UPLOADS_AT_ONCE = env.int("MAX_UPLOADS_AT_ONCE", 64)
MAX_BYTES_AT_ONCE = env.int("MAX_BYTES_AT_ONCE", 256 * 1024 * 1024)
# In one bulk request, which as a whole is no larger than MAX_UPLOAD_BYTES.
MAX_BULK_PICTURES = env.int("MAX_BULK_PICTURES", 100)
# Per microscope; and how many pictures may wait before microscopes are asked to slow down.
UPLOADS_PER_MINUTE = env.int("UPLOADS_PER_MINUTE", 600)
MAX_QUEUED_ANALYSES = env.int("MAX_QUEUED_ANALYSES", 5_000)
# A picture that arrives in pieces is given up so long after its last one; so many per microscope.
UPLOAD_EXPIRY_HOURS = env.float("UPLOAD_EXPIRY_HOURS", 24.0)
MAX_OPEN_UPLOADS = env.int("MAX_OPEN_UPLOADS", 100)
# How long a worker may be silent before its work is given to another.
ANALYSIS_LEASE_SECONDS = env.int("ANALYSIS_LEASE_SECONDS", 30)
# What a worker gives way to on a machine that does all: people's pages and microscopes (0 to 19).
WORKER_NICENESS = env.int("WORKER_NICENESS", 10)
# Pictures read together; and how many of the archive at most, because a live one waits for them.
ANALYSIS_BATCH = env.int("ANALYSIS_BATCH", 32)
ANALYSIS_BACKGROUND_BATCH = env.int("ANALYSIS_BACKGROUND_BATCH", 4)
ANALYSIS_MAX_ATTEMPTS = env.int("ANALYSIS_MAX_ATTEMPTS", 3)
# A queued row whose nudge may have been lost is nudged again after this long.
ANALYSIS_NUDGE_SECONDS = env.int("ANALYSIS_NUDGE_SECONDS", 15)
MODEL_PACKAGE = env.str("MODEL_PACKAGE", "")  # '' is the package that comes with the code
MODEL_ENGINE = env.str("MODEL_ENGINE", "auto")  # one of ml.engines.NAMES
LIVE_TICK_SECONDS = env.float("LIVE_TICK_SECONDS", 10.0)

# What microscopes are told unless told otherwise one by one; '' or absent: their own default.
# The fields are those of devices.services.configuration.
DEVICE_HEARTBEAT_SECONDS = env.int("DEVICE_HEARTBEAT_SECONDS", 60)
DEVICE_CONFIGURATION = {
    "heartbeat_seconds": DEVICE_HEARTBEAT_SECONDS,
    "minimum_firmware": env.str("DEVICE_MINIMUM_FIRMWARE", ""),
    "minimum_focus": env.float("DEVICE_MINIMUM_FOCUS", None),
    "minimum_brightness": env.int("DEVICE_MINIMUM_BRIGHTNESS", None),
    "maximum_clipped": env.float("DEVICE_MAXIMUM_CLIPPED", None),
    "keep_days": env.int("DEVICE_KEEP_DAYS", None),
}
# When the device managers are told of a microscope.
ALERT_MISSED_HEARTBEATS = env.int("ALERT_MISSED_HEARTBEATS", 3)
ALERT_BACKLOG_SECONDS = env.int("ALERT_BACKLOG_SECONDS", 15 * 60)
ALERT_CLOCK_SECONDS = env.int("ALERT_CLOCK_SECONDS", 120)
ALERT_FREE_BYTES = env.int("ALERT_FREE_BYTES", 1_000_000_000)
# Share of the latest ALERT_REJECTED_OF pictures that the quality gate turned away.
ALERT_REJECTED_SHARE = env.float("ALERT_REJECTED_SHARE", 0.3)
ALERT_REJECTED_OF = env.int("ALERT_REJECTED_OF", 40)
HEARTBEAT_DAYS = env.int("HEARTBEAT_DAYS", 30)
# How long a microscope's one-time code can be used.
ENROLMENT_MINUTES = env.int("ENROLMENT_MINUTES", 15)
# A key this old is to be renewed (0: never for its age); and how long the old one goes on at most.
KEY_RENEW_DAYS = env.int("KEY_RENEW_DAYS", 90)
KEY_OVERLAP_DAYS = env.int("KEY_OVERLAP_DAYS", 7)

# DICOM: docs/dicom.md. The web's side (DICOMweb) is always there; `manage.py dicom` serves DIMSE.
DICOM_AE_TITLE = env.str("DICOM_AE_TITLE", "LEUKOLENS")
DICOM_BIND = env.str("DICOM_BIND", "127.0.0.1")
DICOM_PORT = env.int("DICOM_PORT", 11112)
DICOM_MAX_ASSOCIATIONS = env.int("DICOM_MAX_ASSOCIATIONS", 16)
DICOM_TIMEOUT_SECONDS = env.int("DICOM_TIMEOUT_SECONDS", 30)
DICOM_MAX_PDU = env.int("DICOM_MAX_PDU", 131_072)
DICOM_TLS_CERTIFICATE = env.str("DICOM_TLS_CERTIFICATE", "")
DICOM_TLS_KEY = env.str("DICOM_TLS_KEY", "")
DICOM_TLS_CLIENTS = env.str("DICOM_TLS_CLIENTS", "")
# Whether `manage.py stack` starts it too.
DICOM_IN_STACK = env.bool("DICOM_IN_STACK", False)
# Objects of one answer are put together in memory.
DICOM_MAX_RETRIEVE_BYTES = env.int("DICOM_MAX_RETRIEVE_BYTES", 256 * 1024 * 1024)
# Guardians read about a child until it is this old; then the patient alone.
MAJORITY_YEARS = env.int("MAJORITY_YEARS", 18)

# Where the end-to-end probe finds the web ('': none is sent), how often it goes, and how long the
# way may take. 0 seconds: only when `manage.py probe` says so.
PROBE_URL = env.str("PROBE_URL", "").rstrip("/")
PROBE_SECONDS = env.float("PROBE_SECONDS", 300.0)
PROBE_LIMIT_SECONDS = env.float("PROBE_LIMIT_SECONDS", 60.0)
if PROBE_URL and PROBE_SECONDS:
    CELERY_BEAT_SCHEDULE["probe"] = {
        "task": "hospital.config.tasks.probe",
        "schedule": PROBE_SECONDS,
        "options": {"expires": PROBE_SECONDS},
    }
# What retention does at night: `off`, `count` what is due, or `apply` the rules; and how many
# patients one night may erase: more look like a wrong clock, and wait for a person.
RETENTION_NIGHTLY = env.str("RETENTION_NIGHTLY", "count")
RETENTION_MOST_PATIENTS = env.int("RETENTION_MOST_PATIENTS", 100)
if RETENTION_NIGHTLY != "off":
    CELERY_BEAT_SCHEDULE["retention"] = {
        "task": "hospital.config.tasks.retention",
        "schedule": crontab(hour="2", minute="30"),
    }
# After so many hours without a backup the doctor and the alert say so.
BACKUP_HOURS = env.float("BACKUP_HOURS", 26.0)

# --- the audit trail ------------------------------------------------------------------------

# Signed heads of the chain: the file belongs on another disk or machine than the database.
AUDIT_ANCHOR_FILE = env.str("AUDIT_ANCHOR_FILE", str(VAR_DIR / "audit-anchors.jsonl"))
AUDIT_ANCHOR_SECONDS = env.int("AUDIT_ANCHOR_SECONDS", 3600)
AUDIT_ANCHOR_MAILS = env.list("AUDIT_ANCHOR_MAILS", default=[])
# Ed25519, PEM; made when there is none. Housekeeping workers on several machines share it.
AUDIT_KEY_FILE = env.str("AUDIT_KEY_FILE", str(VAR_DIR / "audit-key.pem"))

# --- people ---------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "hospital.accounts.backends.RoleBackend",
]
# The first is what passwords are kept with; those kept with the others move over at sign-in.
PASSWORD_HASHERS = [
    "hospital.accounts.signin.hashers.Argon2",
    "django.contrib.auth.hashers.ScryptPasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "login"

# Signing in is django-allauth's; counting wrong tries is ours (hospital.accounts.signin.lockouts).
ACCOUNT_ADAPTER = "hospital.accounts.signin.adapters.AccountAdapter"
ACCOUNT_FORMS = {"login": "hospital.accounts.signin.forms.SignInForm"}
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_RATE_LIMITS = False
# The cookie goes with the browser: benches in a laboratory are shared.
ACCOUNT_SESSION_REMEMBER = False
MFA_ADAPTER = "hospital.accounts.signin.adapters.MfaAdapter"
MFA_FORMS = {
    "authenticate": "hospital.accounts.signin.forms.CodeForm",
    "reauthenticate": "hospital.accounts.signin.forms.CodeAgainForm",
}
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes", "webauthn"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "Leukolens"
MFA_TOTP_TOLERANCE = 1  # half a minute either way: phones' clocks differ
MFA_RATE_LIMITS = False
# True in a hospital: staff set up an app or a passkey before they may do anything else.
STAFF_MFA_REQUIRED = env.bool("STAFF_MFA_REQUIRED", False)
# A session ends after so long without a click, and after so long at all.
SESSION_IDLE_MINUTES = env.int("SESSION_IDLE_MINUTES", 60)
SESSION_HOURS = env.int("SESSION_HOURS", 12)
# Wrong tries after which an account, and an address of the network, have to wait.
SIGNIN_TRIES = env.int("SIGNIN_TRIES", 5)
SIGNIN_TRIES_PER_ADDRESS = env.int("SIGNIN_TRIES_PER_ADDRESS", 50)
# How long a broken glass lets somebody read in another clinic; who is mailed besides the clinic's
# administrators.
BREAK_GLASS_MINUTES = env.int("BREAK_GLASS_MINUTES", 60)
PRIVACY_OFFICER_MAILS = env.list("PRIVACY_OFFICER_MAILS", default=[])
INVITATION_DAYS = env.int("INVITATION_DAYS", 7)

LANGUAGE_CODE = "en"
LOCALE_PATHS = [BASE_DIR / "locale"]
FORMAT_MODULE_PATH = ["hospital.config.formats"]
# English, and whatever has a catalogue (docs/languages.md).
LANGUAGES = [
    (code, LANG_INFO[code]["name"])
    for code in ["en", *sorted(mo.parts[-3] for mo in LOCALE_PATHS[0].glob("*/LC_MESSAGES/*.mo"))]
]
TIME_ZONE = env.str("TIME_ZONE", "UTC")
USE_TZ = True

# --- borders --------------------------------------------------------------------------------

# Over TLS everywhere but on a laptop: the hospital configuration sets this to true.
_TLS = env.bool("TLS", False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = _TLS
SECURE_HSTS_SECONDS = 31_536_000 if _TLS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = _TLS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _TLS else None
# Proxies in front, as addresses or networks: whom to believe what they say about a client's
# address and about its certificate (as a fingerprint, or in PEM, URL-encoded).
TRUSTED_PROXIES = [
    ip_network(given.strip(), strict=False) for given in env.list("TRUSTED_PROXIES", default=[])
]
CLIENT_CERTIFICATE_HEADER = env.str("CLIENT_CERTIFICATE_HEADER", "X-Client-Certificate")
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = SESSION_HOURS * 3600
SESSION_COOKIE_NAME = env.str("SESSION_COOKIE_NAME", "leukolens_session")
CSRF_COOKIE_NAME = env.str("CSRF_COOKIE_NAME", "leukolens_csrf")
LANGUAGE_COOKIE_NAME = "leukolens_language"
LANGUAGE_COOKIE_SECURE, LANGUAGE_COOKIE_HTTPONLY, LANGUAGE_COOKIE_SAMESITE = _TLS, True, "Lax"
LANGUAGE_COOKIE_AGE = 365 * 24 * 3600
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["hospital.base.permissions.Denied"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "hospital.base.api.problem_response",
    "DEFAULT_PAGINATION_CLASS": "hospital.base.paging.ByCursor",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Leukolens",
    "DESCRIPTION": "Leukaemia screening from blood smears. Computer-aided; not a diagnosis.",
    "VERSION": "1.0.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "hospital.base.openapi.lists_refuse",
    ],
    "ENUM_NAME_OVERRIDES": {
        "DeviceStateEnum": "devices.models.DeviceState",
        "ImageStateEnum": "diagnostics.models.ImageState",
        "HoldReasonEnum": "diagnostics.models.HoldReason",
        "ControlStateEnum": "diagnostics.models.ControlState",
        "AnalysisStateEnum": "diagnostics.models.AnalysisState",
        "ClassEnum": "ml.classes.Class",
        "ReportStatusEnum": "diagnostics.models.ReportStatus",
    },
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"following": {"()": "hospital.base.logs.Following"}},
    "formatters": {
        "line": {
            "()": "hospital.base.logs.Lines",
            "format": "{asctime} {levelname} {name} [{trace}]: {message}",
            "style": "{",
        },
        "json": {"()": "hospital.base.logs.JsonLines"},
    },
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "filters": ["following"],
            "formatter": env.str("LOG_FORMAT", "line"),  # or json
        }
    },
    "root": {"handlers": ["stderr"], "level": env.str("LOG_LEVEL", "INFO")},
    "loggers": {
        "django.server": {"level": "WARNING"},
        "httpx": {"level": "WARNING"},
        # It warns of every 404 with the address, in which anything may stand. hospital.requests
        # has a line for it.
        "django.request": {"level": "ERROR"},
    },
}
