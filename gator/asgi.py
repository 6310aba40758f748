"""The ASGI application: uvicorn runs it in `up`, daphne in `runserver`."""

import gc
import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gator.settings")

# First: it fills the app registry that the sockets' code needs.
_http = get_asgi_application()

from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.urls import get_resolver  # noqa: E402

from apps.chat.routing import urlpatterns  # noqa: E402

application = ProtocolTypeRouter({"http": _http, "websocket": URLRouter(urlpatterns)})

# Loaded now, or the first visitor would wait for it.
assert get_resolver().url_patterns
# All of this lives as long as the process. Looked through again whenever many sockets have opened,
# it would stop every one of them for some 80 ms.
gc.collect()
gc.freeze()
