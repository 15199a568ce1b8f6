"""An alert's mail counts when it was sent, and is somebody's to send until then."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('devices', '0003_fleet'),
    ]

    operations = [
        migrations.AddField(
            model_name='alert',
            name='mailing_until',
            field=models.DateTimeField(editable=False, help_text='Somebody is at it, unless they died.', null=True),
        ),
    ]
