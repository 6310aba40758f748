"""The publishing side of the admin: accounts, posts, deliveries, media and the dashboard."""

from apps.scheduling.admin import (  # noqa: F401 - they register
    accounts,
    deliveries,
    hooks,
    media,
    posts,
    writing,
)
