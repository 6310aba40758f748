"""The publishing side of the admin: accounts, posts, deliveries, media and the dashboard."""

from apps.scheduling.admin import accounts, deliveries, media, posts  # noqa: F401 - they register
