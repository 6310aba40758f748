"""Sentiment in the admin: its rows, and the pages that show moods."""

from apps.sentiment.admin import corrections, rows  # noqa: F401 - they register themselves
