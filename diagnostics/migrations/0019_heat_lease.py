"""A heat map is drawn by one worker at a time."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('diagnostics', '0018_mailing_until'),
    ]

    operations = [
        migrations.AddField(
            model_name='heatmap',
            name='lease_until',
            field=models.DateTimeField(editable=False, help_text='Until then whoever has begun to draw it is left alone.', null=True),
        ),
    ]
