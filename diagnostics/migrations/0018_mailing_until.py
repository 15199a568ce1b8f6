"""A mail counts when it was sent, and is somebody's to send until then."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('diagnostics', '0017_files_to_remove'),
    ]

    operations = [
        migrations.AddField(
            model_name='escalation',
            name='mailing_until',
            field=models.DateTimeField(help_text='Somebody is at it, unless they died.', null=True),
        ),
    ]
