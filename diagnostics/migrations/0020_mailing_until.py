"""A family's mail counts when it was sent, and is somebody's to send until then."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('diagnostics', '0019_heat_lease'),
    ]

    operations = [
        migrations.AddField(
            model_name='diagnosticreport',
            name='mailing_until',
            field=models.DateTimeField(editable=False, help_text='Somebody is at it, unless they died.', null=True),
        ),
    ]
