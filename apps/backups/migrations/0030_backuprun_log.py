from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("backups", "0002_jobs")]
    operations = [
        migrations.AddField(
            model_name="backuprun",
            name="log",
            field=models.TextField(
                blank=True, help_text="What was done with it, step by step, in UTC."
            ),
        )
    ]
