"""The addresses of personas."""

from django.urls import include, path, re_path

from apps.core.rest.resources import Router
from apps.personas import api

router = Router()
router.register("personas", api.PersonaViewSet, "persona")
router.register("facts", api.FactViewSet, "fact")

urlpatterns = [
    path(
        "api/v1/",
        include(
            [
                re_path("^studio/hold/?$", api.StudioHoldView.as_view(), name="studio-hold"),
                *router.urls,
            ]
        ),
    )
]
