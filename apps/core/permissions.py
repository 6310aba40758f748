"""Who may use the API: staff with the model's permission, viewing included."""

from rest_framework.permissions import DjangoModelPermissions


class StaffWithModelPermission(DjangoModelPermissions):
    """Staff with the model's permission."""
