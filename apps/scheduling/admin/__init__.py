"""The publishing side of the admin: accounts, posts, series, deliveries, media, the dashboard."""

from apps.scheduling.admin import (  # noqa: F401 - they register
    accounts,
    deliveries,
    drafts,
    hooks,
    media,
    posts,
    queues,
    series,
    writing,
)
