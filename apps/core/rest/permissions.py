"""Who may use the API: staff with the model's permission, viewing included."""

from typing import Any

from rest_framework import exceptions
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

# What an action asks for unless its view says otherwise in `needs`; any other action changes.
BY_ACTION = {
    "list": "view",
    "retrieve": "view",
    "metadata": "view",
    "create": "add",
    "update": "change",
    "partial_update": "change",
    "destroy": "delete",
}


class StaffWithModelPermission(BasePermission):
    """Staff only, and each of them only with the permission that the action needs.

    A view names exceptions in `needs`: an action (or, without a router, a method) to "view",
    "add", "change" or "delete" of its model, or to a whole permission such as
    "personas.view_hold". A view without a model that names none is closed to everybody.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        user = request.user
        if not user or not user.is_authenticated:
            return False
        if not (user.is_active and user.is_staff):
            return False
        wanted = _needed(request, view)
        return wanted is not None and user.has_perm(wanted)


def _needed(request: Request, view: Any) -> str | None:
    method = str(request.method)
    if method not in view.allowed_methods:
        raise exceptions.MethodNotAllowed(method)
    action = getattr(view, "action", None) or ("metadata" if method == "OPTIONS" else method)
    default = "change" if hasattr(view, "action") else ""
    needed = view.needs.get(action) or BY_ACTION.get(action, default)
    if method == "OPTIONS" and action not in view.needs and "GET" in view.needs:
        needed = view.needs["GET"]
    if "." in needed:
        return str(needed)
    queryset = getattr(view, "queryset", None)
    if not needed or queryset is None:
        return None
    meta = queryset.model._meta
    return f"{meta.app_label}.{needed}_{meta.model_name}"
