"""Every address, one include per app."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("apps.core.urls")),
    path("admin/", admin.site.urls),
    path("", include("apps.personas.urls")),
    path("", include("apps.backups.urls")),
    path("", include("apps.scheduling.urls")),
    path("", include("apps.sentiment.urls")),
    path("", include("apps.chat.urls")),
]
