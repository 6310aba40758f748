"""The floor's addresses: what monitoring asks for, tokens, audit, alerts, the API's description."""

from django.urls import include, path, re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from apps.core import api
from apps.core.rest.resources import Router
from apps.core.running import health, metrics

router = Router()
router.register("audit", api.AuditViewSet, "audit")
router.register("alerts", api.AlertViewSet, "alert")

# One function for both its addresses: the browsable API's breadcrumb names it once then.
root = api.RootView.as_view()
endpoints = [
    re_path("^$", root, name="api-root"),
    re_path("^auth/token/?$", api.SignInView.as_view(), name="token"),
    re_path("^auth/token/refresh/?$", api.RefreshView.as_view(), name="token-refresh"),
    re_path("^auth/token/revoke/?$", api.RevokeView.as_view(), name="token-revoke"),
    re_path("^schema/?$", SpectacularAPIView.as_view(), name="schema"),
    re_path("^docs/?$", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="docs"),
    *router.urls,
]

urlpatterns = [
    re_path(r"^healthz/?$", health.healthz, name="healthz"),
    re_path(r"^readyz/?$", health.readyz, name="readyz"),
    re_path(r"^metrics/?$", metrics.metrics, name="metrics"),
    re_path("^api/v1$", root),
    path("api/v1/", include(endpoints)),
]
