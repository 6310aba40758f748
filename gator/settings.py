"""Every setting of Gator, read from the environment; .env.example has a line for each."""

import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dj_database_url

from gator import env, logs, look, valkey

BASE_DIR = Path(__file__).resolve().parent.parent
VERSION = "0.1.0"
env.load_file("GATOR_ENV_FILE", BASE_DIR / ".env")

# -- Where things are ---------------------------------------------------------------------------

GATOR_VAR = env.folder("GATOR_VAR", BASE_DIR / "var")
KEYS_DIR = env.folder("GATOR_KEYS", GATOR_VAR / "keys")
BACKUP_DIR = env.folder("BACKUP_DIR", GATOR_VAR / "backups")
CONTENT_STORAGE_PATH = env.folder("CONTENT_STORAGE_PATH", GATOR_VAR / "content")
env.refuse_nesting(
    GATOR_KEYS=KEYS_DIR, BACKUP_DIR=BACKUP_DIR, CONTENT_STORAGE_PATH=CONTENT_STORAGE_PATH
)
BACKUP_RETENTION_DAYS = env.integer("BACKUP_RETENTION_DAYS", 30, at_least=1)
# Public keys only: whoever reads the server cannot open its backups.
BACKUP_AGE_RECIPIENTS = [
    key.strip() for key in env.text("BACKUP_AGE_RECIPIENTS").split(",") if key.strip()
]
# Media that CONTENT_STORAGE keeps elsewhere: only listed in backups, or copied into them.
BACKUP_REMOTE_MEDIA = env.choice("BACKUP_REMOTE_MEDIA", "list", ("list", "copy"))
# Who keeps PostgreSQL's write-ahead log, if anybody: pgbackrest:STANZA or barman:SERVER.
BACKUP_PITR = env.text("BACKUP_PITR")
BACKUP_PING_URL = env.url("BACKUP_PING_URL", schemes=("http", "https"))
# Where pg_dump and psql are, when not on PATH or too old there.
PG_BIN = env.text("PG_BIN")

GATOR_BIND = env.bind("GATOR_BIND", "127.0.0.1:8000")
GATOR_PUBLIC_URL = env.url(
    "GATOR_PUBLIC_URL", f"http://localhost:{GATOR_BIND[1]}", schemes=("http", "https")
).rstrip("/")
GATOR_DEMO = env.boolean("GATOR_DEMO", True)
GATOR_ADMIN_PASSWORD = env.text("GATOR_ADMIN_PASSWORD")

# -- Who may speak to us ------------------------------------------------------------------------

SECRET_KEY = env.kept_secret("SECRET_KEY", KEYS_DIR / "secret_key")
DEBUG = env.boolean("DEBUG", False)
_public = urlsplit(GATOR_PUBLIC_URL)
_https = _public.scheme == "https"
ALLOWED_HOSTS = env.listing("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
if _public.hostname and _public.hostname not in ALLOWED_HOSTS:
    ALLOWED_HOSTS.append(_public.hostname)
CSRF_TRUSTED_ORIGINS = [f"{_public.scheme}://{_public.netloc}"]
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = _https
# Probes and scrapers come from inside, without TLS.
SECURE_REDIRECT_EXEMPT = [r"^(healthz|readyz|metrics)/?$"]
SECURE_HSTS_SECONDS = 31_536_000 if _https else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _https else None
SECURE_REFERRER_POLICY = "same-origin"
# Whether every subdomain speaks https, for ever, is up to whoever owns the domain.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
X_FRAME_OPTIONS = "DENY"
# Staff may name private hosts (an Ollama next door); every other private address is refused.
GATOR_ALLOWED_PRIVATE_HOSTS = env.listing("GATOR_ALLOWED_PRIVATE_HOSTS")
METRICS_TOKEN = env.kept_secret("METRICS_TOKEN", KEYS_DIR / "metrics_token")

AUTH_USER_MODEL = "core.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "/admin/"

# -- Applications -------------------------------------------------------------------------------

INSTALLED_APPS = [
    # daphne only serves `runserver`; it brings Twisted (20 MB), which no other process needs.
    *(["daphne"] if "runserver" in sys.argv else []),
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django_celery_beat",
    "rest_framework",
    "rest_framework_simplejwt.token_blacklist",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "apps.core",
    "apps.personas",
    "apps.sentiment",
    "apps.scheduling",
    "apps.backups",
    "apps.chat",
]

MIDDLEWARE = [
    "apps.core.running.metrics.measure_requests",
    "apps.core.middleware.RequestIdMiddleware",
    "apps.core.rest.problems.ApiProblemsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "apps.core.middleware.ContentSecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "apps.core.middleware.ViewerZoneMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "gator.urls"
ASGI_APPLICATION = "gator.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "object-src": ["'none'"],
        "base-uri": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }
}

# -- The database: SQLite embedded, or what DATABASE_URL names ----------------------------------

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
_database_url = env.text("DATABASE_URL")
try:
    _database: dict[str, Any] = dict(
        dj_database_url.parse(_database_url)
        if _database_url
        else {"ENGINE": "django.db.backends.sqlite3", "NAME": str(GATOR_VAR / "gator.sqlite3")}
    )
except (ValueError, KeyError):
    raise env.BadSetting(
        "DATABASE_URL is not an address, as in postgres://user:password@host:5432/gator."
    ) from None
if _database["ENGINE"] == "django.db.backends.sqlite3":
    _database["OPTIONS"] = {
        "timeout": 20,
        # IMMEDIATE takes the write lock at BEGIN: several processes wait instead of failing.
        "transaction_mode": "IMMEDIATE",
        # FULL: with NORMAL a power cut can lose an attempt that was committed before the call.
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
    }
elif _database["ENGINE"] == "django.db.backends.postgresql":
    _database["OPTIONS"] = {
        # Starting helper processes takes longer than our queries run: 12 ms for a sweep of 2.
        "options": "-c max_parallel_workers_per_gather=0",
        **_database.get("OPTIONS", {}),
        "pool": {"min_size": 1, "max_size": 32, "timeout": 10},
    }
    _database["CONN_HEALTH_CHECKS"] = True
else:
    raise env.BadSetting("DATABASE_URL must start with postgres:// or sqlite:///.")
DATABASES = {"default": _database}

# -- Redis: Valkey embedded, or what REDIS_URL names --------------------------------------------

REDIS_URL = env.url("REDIS_URL", schemes=("redis", "rediss", "unix"))
EMBEDDED_VALKEY = not REDIS_URL
if EMBEDDED_VALKEY:
    try:
        REDIS_URL = valkey.embedded_url(GATOR_VAR)
    except OSError as error:
        raise env.BadSetting(f"GATOR_VAR: {error}") from None
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "gator",
        "OPTIONS": {"socket_connect_timeout": 2, "socket_timeout": 2},
    }
}

# -- Celery: rows are the truth, these queues carry hints ---------------------------------------

CELERY_BROKER_URL = env.text("CELERY_BROKER_URL") or valkey.celery_url(REDIS_URL)
CELERY_RESULT_BACKEND = env.text("CELERY_RESULT_BACKEND") or valkey.celery_url(REDIS_URL)
CELERY_TASK_SERIALIZER = CELERY_RESULT_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_RESULT_EXPIRES = 86_400
CELERY_TASK_DEFAULT_QUEUE = "work"
CELERY_TASK_CREATE_MISSING_QUEUES = True
# Publishing has a queue and a worker of its own: whatever floods the others delays no post.
CELERY_TASK_ROUTES = dict.fromkeys(
    [
        "publish_scheduled_post",
        "publish_deliveries",
        "process_scheduled_posts",
        "reap_deliveries",
        "reconcile_deliveries",
        "batch_publish_content",
        "remove_posts",
    ],
    {"queue": "publishing"},
) | dict.fromkeys(["write_reply", "reap_replies"], {"queue": "replies"})
# What `up` starts: each worker's queues and threads. SQLite has one writer at a time, so it gets
# few workers, and one alone claims posts.
WORKERS = {"publish": (["publishing"], 16), "work": (["work", "replies"], 8)}
if _database["ENGINE"] == "django.db.backends.postgresql":
    WORKERS |= {
        "publish2": WORKERS["publish"],
        "work": (["work"], 8),
        "replies": (["replies"], 8),
    }
CELERY_WORKER_POOL = "threads"
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_ETA_TASK_LIMIT = 1_000
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 5
CELERY_WORKER_ENABLE_SOFT_SHUTDOWN_ON_IDLE = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
# A request that wakes a worker must not hang on a dead broker: the sweep finds the row anyway.
# (Workers have their own, endless patience: broker_connection_max_retries.)
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "socket_connect_timeout": 1,
    "socket_timeout": 5,
    "max_retries": 1,
    "interval_start": 0.1,
    "interval_max": 0.1,
}
CELERY_BEAT_SCHEDULER = "apps.core.running.beat:LeasedScheduler"
CELERY_BEAT_MAX_LOOP_INTERVAL = 1
DJANGO_CELERY_BEAT_TZ_AWARE = True

# -- Plug-ins and events ------------------------------------------------------------------------

PUBLISHERS: dict[str, dict[str, Any]] = {
    "wall": {"BACKEND": "apps.scheduling.publishers.wall.Wall"},
    "bluesky": {"BACKEND": "apps.scheduling.publishers.bluesky.Bluesky"},
    "mastodon": {"BACKEND": "apps.scheduling.publishers.mastodon.Mastodon"},
    "telegram": {"BACKEND": "apps.scheduling.publishers.telegram.Telegram"},
    "discord": {"BACKEND": "apps.scheduling.publishers.discord.Discord"},
    "x": {"BACKEND": "apps.scheduling.publishers.x.X"},
    "linkedin": {"BACKEND": "apps.scheduling.publishers.linkedin.LinkedIn"},
    "instagram": {"BACKEND": "apps.scheduling.publishers.instagram.Instagram"},
    "facebook": {"BACKEND": "apps.scheduling.publishers.facebook.Facebook"},
    "threads": {"BACKEND": "apps.scheduling.publishers.threads.Threads"},
    "tiktok": {"BACKEND": "apps.scheduling.publishers.tiktok.TikTok"},
    "matrix": {"BACKEND": "apps.scheduling.publishers.matrix.Matrix"},
    "nostr": {"BACKEND": "apps.scheduling.publishers.nostr.Nostr"},
    "custom": {"BACKEND": "apps.scheduling.publishers.webhook.Webhook"},
}
# Gator's registrations with the networks where accounts are connected by signing in.
NETWORK_CLIENTS = {
    "x": {"id": env.text("X_CLIENT_ID"), "secret": env.text("X_CLIENT_SECRET")},
    "linkedin": {
        "id": env.text("LINKEDIN_CLIENT_ID"),
        "secret": env.text("LINKEDIN_CLIENT_SECRET"),
    },
    "instagram": {
        "id": env.text("INSTAGRAM_CLIENT_ID"),
        "secret": env.text("INSTAGRAM_CLIENT_SECRET"),
    },
    "facebook": {
        "id": env.text("FACEBOOK_CLIENT_ID"),
        "secret": env.text("FACEBOOK_CLIENT_SECRET"),
    },
    "threads": {"id": env.text("THREADS_CLIENT_ID"), "secret": env.text("THREADS_CLIENT_SECRET")},
    "tiktok": {"id": env.text("TIKTOK_CLIENT_ID"), "secret": env.text("TIKTOK_CLIENT_SECRET")},
}
# A function `address -> shorter address` that posts' links go through, as in my_links.shorten.
LINK_SHORTENER = env.text("LINK_SHORTENER")
# A claim's life, well above a call's deadline (apps.core.http); and how long after the end of a
# silent call its request may still be on the way.
PUBLISHING_LEASE = timedelta(seconds=90)
PUBLISHING_SETTLE = timedelta(seconds=10)
# Where /metrics asks for figures taken from rows.
METRICS = [
    "apps.core.running.metrics.of_the_floor",
    "apps.scheduling.metrics.of_deliveries",
    "apps.backups.metrics.of_backups",
]
# What /readyz says beside its parts: a function's words when something needs a person, "" when not.
ADVISORIES = {
    "backups": "apps.backups.running.absence",
    "point_in_time": "apps.backups.pitr.advice",
}
# What `up` calls once, on an empty installation; it returns the page to watch.
FIRST_RUN = "apps.scheduling.demo.first_run" if GATOR_DEMO else ""
# What `up` enters before it migrates a database that holds data; it raises to stop the start.
AROUND_MIGRATION = (
    "" if env.boolean("GATOR_MIGRATE_UNSAVED", False) else "apps.backups.services.saved_first"
)
SENTIMENT_ENGINES = {
    "rules": {"BACKEND": "apps.sentiment.engines.rules.RuleEngine"},
    "blend": {"BACKEND": "apps.sentiment.engines.blend.BlendEngine"},
    # The network without the rules' word: to measure what they add.
    "model": {
        "BACKEND": "apps.sentiment.engines.blend.BlendEngine",
        "OPTIONS": {"alone": True},
    },
}
_WEIGHTS = BASE_DIR / "apps" / "sentiment" / "engines" / "weights" / "model.onnx"
SENTIMENT_ENGINE = env.choice(
    "SENTIMENT_ENGINE", "blend" if _WEIGHTS.exists() else "rules", tuple(SENTIMENT_ENGINES)
)
EVENTS = {
    "database_restored": [
        "apps.scheduling.services.hold_unfinished",
        "apps.scheduling.authoring.end_unfinished",
    ],
}

# -- Chat ----------------------------------------------------------------------------------------

VOICES = {
    "offline": {"BACKEND": "apps.personas.voices.offline.Offline"},
    "openai_compatible": {
        "BACKEND": "apps.personas.voices.openai_compatible.OpenAICompatible",
    },
}
# Functions that read a message before a voice does: `text -> reason to withhold it, or None`.
VOICE_MODERATION = env.listing("VOICE_MODERATION")
# Pages of other origins may open no socket; the studio's own address always may.
CHAT_ORIGINS = env.listing("CHAT_ORIGINS")
CHAT_MAX_CONTENT = env.integer("CHAT_MAX_CONTENT", 4_000, at_least=1)
# Larger frames get an error; beyond CHAT_MAX_BUFFER the server itself ends the connection (1009).
CHAT_MAX_FRAME = env.integer("CHAT_MAX_FRAME", 65_536, at_least=1_024)
# What may wait to be sent to one socket before it is cut; it resumes from the database.
CHAT_MAX_BUFFER = env.integer("CHAT_MAX_BUFFER", 1_000_000, at_least=65_536)
# Frames one socket may send: so many at once, and so many a second in the long run.
CHAT_RATE = env.integer("CHAT_RATE", 20, at_least=1)
CHAT_BURST = env.integer("CHAT_BURST", 60, at_least=1)
CHAT_SOCKETS_PER_USER = env.integer("CHAT_SOCKETS_PER_USER", 20, at_least=1)
CHAT_JOINED_PER_SOCKET = env.integer("CHAT_JOINED_PER_SOCKET", 200, at_least=1)
CHAT_MAX_ATTACHMENT = env.integer("CHAT_MAX_ATTACHMENT_MB", 10, at_least=1) * 1_000_000
# Shown to somebody who writes of harming themselves; name the services of your country.
CHAT_HELP_TEXT = env.text(
    "CHAT_HELP_TEXT",
    "You are not alone. If you are in danger now, call your local emergency number (112 in "
    "Europe, 911 in North America). People who listen, in your country: findahelpline.com.",
)

# -- The API ------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "apps.core.rest.auth.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["apps.core.rest.permissions.StaffWithModelPermission"],
    "DEFAULT_PAGINATION_CLASS": "apps.core.rest.pagination.Newest",
    "DEFAULT_FILTER_BACKENDS": ["apps.core.rest.filters.StrictFilters"],
    "DEFAULT_PARSER_CLASSES": ["apps.core.rest.parsers.StrictJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_THROTTLE_CLASSES": [
        "apps.core.rest.throttling.AnonymousThrottle",
        "apps.core.rest.throttling.UserThrottle",
    ],
    "DEFAULT_THROTTLE_RATES": {
        "anon": env.rate("THROTTLE_ANON", "60/min"),
        "user": env.rate("THROTTLE_USER", "1200/min"),
        "sign-in": env.rate("THROTTLE_SIGN_IN", "10/min"),
        "sign-up": env.rate("THROTTLE_SIGN_UP", "10/hour"),
    },
    # How many proxies of our own stand in front: only their X-Forwarded-For is believed.
    "NUM_PROXIES": env.integer("TRUSTED_PROXIES", 0),
    "EXCEPTION_HANDLER": "apps.core.rest.problems.handle",
    "PAGE_SIZE": 50,
}
SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=env.integer("ACCESS_TOKEN_MINUTES", 15, at_least=1)),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=env.integer("REFRESH_TOKEN_DAYS", 14, at_least=1)),
    "ISSUER": "gator",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Gator",
    "DESCRIPTION": "A self-hosted studio for people who run AI personas on social media.",
    "VERSION": VERSION,
    "OAS_VERSION": "3.1.0",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    # A list of resources that one can search; each opens to its operations.
    "SWAGGER_UI_SETTINGS": {"docExpansion": "none", "filter": True, "deepLinking": True},
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    # Choices that several resources call by one word ("kind", "state"), or one by several.
    "ENUM_NAME_OVERRIDES": {
        "ConversationKindEnum": "apps.chat.models.Conversation.Kind",
        "DeliveryStateEnum": "apps.scheduling.models.Delivery.State",
        "IntentEnum": "apps.sentiment.models.INTENT_CHOICES",
        "SentimentLabelEnum": "apps.sentiment.models.LABEL_CHOICES",
        "WebhookEventEnum": "apps.scheduling.models.WebhookEndpoint.Event",
        "WeekdayEnum": "apps.scheduling.recurrence.WEEKDAYS",
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "apps.core.rest.schema.describe_errors",
    ],
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
}

# -- Files and static ---------------------------------------------------------------------------

MEDIA_ROOT = CONTENT_STORAGE_PATH
MEDIA_URL = "/media/"
STATIC_URL = "/static/"
# Filled by collectstatic where a proxy serves it; otherwise WhiteNoise finds the files itself.
STATIC_ROOT = GATOR_VAR / "static"
STATIC_ROOT.mkdir(exist_ok=True)
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True
STORAGES = {
    "default": {
        "BACKEND": env.text("CONTENT_STORAGE", "django.core.files.storage.FileSystemStorage")
    },
    "backups": {
        "BACKEND": env.text("BACKUP_STORAGE", "django.core.files.storage.FileSystemStorage"),
        **({} if env.text("BACKUP_STORAGE") else {"OPTIONS": {"location": str(BACKUP_DIR)}}),
    },
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
# django-storages reads its settings by these names; give them as environment variables.
for _name in list(os.environ):
    if _name.startswith(("AWS_", "GS_", "AZURE_", "SFTP_", "DROPBOX_")) and env.text(_name):
        globals()[_name] = env.storage_option(_name)
MEDIA_MAX_BYTES = env.integer("MEDIA_MAX_MB", 100, at_least=1) * 1_000_000
FILE_UPLOAD_PERMISSIONS = 0o600
FILE_UPLOAD_DIRECTORY_PERMISSIONS = 0o700
DATA_UPLOAD_MAX_MEMORY_SIZE = 5_000_000

# -- Mail and alerts ----------------------------------------------------------------------------

EMAIL_HOST = env.text("EMAIL_HOST")
EMAIL_PORT = env.integer("EMAIL_PORT", 587, at_least=1)
EMAIL_HOST_USER = env.text("EMAIL_HOST_USER")
EMAIL_HOST_PASSWORD = env.text("EMAIL_HOST_PASSWORD")
EMAIL_USE_TLS = env.boolean("EMAIL_USE_TLS", True)
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.text("EMAIL_FROM", f"gator@{_public.hostname}")
ALERT_EMAILS = env.listing("ALERT_EMAILS")
ALERT_NTFY_URL = env.url("ALERT_NTFY_URL", schemes=("http", "https"))
ALERT_TELEGRAM_TOKEN = env.text("ALERT_TELEGRAM_TOKEN")
ALERT_TELEGRAM_CHAT = env.text("ALERT_TELEGRAM_CHAT")
ALERT_WEBHOOK_URL = env.url("ALERT_WEBHOOK_URL", schemes=("http", "https"))
ALERT_WEBHOOK_SECRET = env.text("ALERT_WEBHOOK_SECRET")
if ALERT_WEBHOOK_URL and not ALERT_WEBHOOK_SECRET:
    raise env.BadSetting("ALERT_WEBHOOK_URL is set, but ALERT_WEBHOOK_SECRET, its key, is not.")
if EMAIL_HOST == "" and ALERT_EMAILS:
    raise env.BadSetting("ALERT_EMAILS is set, but EMAIL_HOST is not: no mail could be sent.")

# -- Language, time, logs -----------------------------------------------------------------------

LANGUAGE_CODE = "en"
USE_I18N = True
USE_TZ = True
TIME_ZONE = env.text("TIME_ZONE", "UTC")
CELERY_TIMEZONE = TIME_ZONE
LOGGING = logs.configuration(level=env.text("LOG_LEVEL", "INFO").upper())

# -- The admin's look ---------------------------------------------------------------------------

UNFOLD = look.UNFOLD
