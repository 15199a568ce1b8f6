"""What is said of a specimen's closing, also of one that is open."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('diagnostics', '0020_mailing_until'),
    ]

    operations = [
        migrations.AlterField(
            model_name='specimen',
            name='closed_at',
            field=models.DateTimeField(blank=True, editable=False, help_text='When it was closed: no pictures are taken in from then on.', null=True),
        ),
    ]
