"""What the database's planner knows of the tables."""

from django.db import connection

# Rows of each index that are looked at: enough for a planner, and milliseconds at any size.
LOOKED_AT = 1_000


def refresh() -> None:
    """Tell SQLite how its tables have grown; PostgreSQL's autovacuum does this by itself.

    Without it, SQLite guesses, and reads whole tables where an index would do. Source: "Approximate
    ANALYZE For Large Databases", sqlite.org/lang_analyze.html.
    """
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA analysis_limit = {LOOKED_AT}")
            cursor.execute("ANALYZE")
