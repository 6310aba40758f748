from django.db import migrations

POSTGRES = (
    "CREATE INDEX chat_message_words ON chat_message "
    "USING GIN (to_tsvector('simple'::regconfig, COALESCE(content, '')))"
)
SQLITE = "CREATE VIRTUAL TABLE chat_fts USING fts5(content, tokenize = 'unicode61')"


def make(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(POSTGRES)
    else:
        schema_editor.execute(SQLITE)


def drop(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP INDEX chat_message_words")
    else:
        schema_editor.execute("DROP TABLE chat_fts")


class Migration(migrations.Migration):
    dependencies = [("chat", "0002_periodic_tasks")]
    operations = [migrations.RunPython(make, drop)]
