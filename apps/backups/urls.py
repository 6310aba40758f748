"""The addresses of backups."""

from django.urls import include, path

from apps.backups.api import BackupViewSet
from apps.core.rest.resources import Router

router = Router()
router.register("backups", BackupViewSet, "backup")

urlpatterns = [path("api/v1/", include(router.urls))]
