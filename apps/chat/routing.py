"""The socket's addresses, with and without the trailing slash."""

from django.urls import re_path

from apps.chat.consumers import ChatConsumer, nothing_here

_UUID = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"

urlpatterns = [
    re_path(r"^ws/?$", ChatConsumer.as_asgi()),
    re_path(rf"^ws/(?P<user_id>{_UUID})/?$", ChatConsumer.as_asgi()),
    re_path(r"", nothing_here),  # type: ignore[arg-type]
]
