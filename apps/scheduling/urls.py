"""The addresses of scheduling."""

from django.urls import include, path, re_path

from apps.core.api import Router
from apps.scheduling.api.accounts import AccountViewSet, NetworksView
from apps.scheduling.api.deliveries import DeliveryViewSet
from apps.scheduling.api.media import MediaViewSet
from apps.scheduling.api.posts import PostViewSet

router = Router()
router.register("accounts", AccountViewSet, "account")
router.register("media", MediaViewSet, "media")
router.register("posts", PostViewSet, "post")
router.register("deliveries", DeliveryViewSet, "delivery")

api = [
    re_path("^networks/?$", NetworksView.as_view(), name="network-list"),
    *router.urls,
]

urlpatterns = [path("api/v1/", include(api))]
