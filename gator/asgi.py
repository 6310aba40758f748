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
_ = get_resolver().url_patterns
# All of this stays for good. Left to the garbage collector, it is walked again and again: 90 ms in
# the middle of somebody's request, and for every socket that is open.
gc.collect()
gc.freeze()
