from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('personas', '0005_drafts'),
        ('scheduling', '0031_video'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name='delivery',
            name='deliveries_waiting',
        ),
        migrations.RemoveIndex(
            model_name='delivery',
            name='deliveries_in_hand',
        ),
        migrations.RemoveIndex(
            model_name='delivery',
            name='deliveries_expiring',
        ),
        migrations.RemoveIndex(
            model_name='delivery',
            name='deliveries_by_fingerprint',
        ),
        migrations.RemoveIndex(
            model_name='delivery',
            name='deliveries_leaving',
        ),
        migrations.RemoveIndex(
            model_name='delivery',
            name='deliveries_out',
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(condition=models.Q(('state', 'scheduled')), fields=['state', 'due_at'], name='deliveries_waiting'),
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(condition=models.Q(('state', 'scheduled')), fields=['state', 'too_late_at'], name='deliveries_expiring'),
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(condition=models.Q(('state', 'published')), fields=['state', 'published_at'], name='deliveries_out'),
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(fields=['account', 'fingerprint'], name='deliveries_by_fingerprint'),
        ),
        migrations.AddIndex(
            model_name='post',
            index=models.Index(fields=['persona', 'scheduled_at'], name='posts_of_a_persona'),
        ),
    ]
