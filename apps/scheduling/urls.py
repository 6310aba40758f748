"""The addresses of scheduling: its API, the home page, the Wall, and uploaded pictures."""

from django.urls import include, path, re_path

from apps.core.rest.resources import UUID_PATTERN, Router
from apps.scheduling import files, wall
from apps.scheduling.api.accounts import AccountViewSet, NetworksView
from apps.scheduling.api.authoring import DraftRunViewSet, PersonaDraftsView
from apps.scheduling.api.deliveries import DeliveryViewSet
from apps.scheduling.api.hooks import EndpointViewSet, MessageViewSet
from apps.scheduling.api.media import MediaViewSet
from apps.scheduling.api.posts import PostViewSet
from apps.scheduling.api.queues import EvergreenViewSet
from apps.scheduling.api.series import SeriesViewSet
from apps.scheduling.api.writing import HashtagSetViewSet, TemplateViewSet

router = Router()
router.register("accounts", AccountViewSet, "account")
router.register("media", MediaViewSet, "media")
router.register("posts", PostViewSet, "post")
router.register("series", SeriesViewSet, "series")
router.register("evergreens", EvergreenViewSet, "evergreen")
router.register("draft-runs", DraftRunViewSet, "draftrun")
router.register("deliveries", DeliveryViewSet, "delivery")
router.register("webhooks", EndpointViewSet, "webhook")
router.register("webhook-messages", MessageViewSet, "hookmessage")
router.register("templates", TemplateViewSet, "template")
router.register("hashtag-sets", HashtagSetViewSet, "hashtag-set")

api = [
    re_path("^networks/?$", NetworksView.as_view(), name="network-list"),
    re_path(
        f"^personas/(?P<pk>{UUID_PATTERN})/drafts/?$",
        PersonaDraftsView.as_view(),
        name="persona-drafts",
    ),
    *router.urls,
]

urlpatterns = [
    path("api/v1/", include(api)),
    path("", wall.home, name="home"),
    path("wall/<str:handle>/", wall.page, name="wall"),
    path("wall/<str:handle>/feed/", wall.feed, name="wall-feed"),
    path("wall/<str:handle>/<uuid:post_id>/", wall.post, name="wall-post"),
    path("media/<path:path>", files.picture, name="picture"),
]
