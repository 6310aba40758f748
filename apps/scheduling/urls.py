"""Public pages: the home page, the Wall, and uploaded pictures."""

from django.urls import path

from apps.scheduling import files, wall

urlpatterns = [
    path("", wall.home, name="home"),
    path("wall/<str:handle>/", wall.page, name="wall"),
    path("wall/<str:handle>/feed/", wall.feed, name="wall-feed"),
    path("wall/<str:handle>/<uuid:post_id>/", wall.post, name="wall-post"),
    path("media/<path:path>", files.picture, name="picture"),
]
