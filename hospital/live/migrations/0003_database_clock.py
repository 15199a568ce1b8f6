"""Events are dated by the database's clock."""

from django.db import migrations, models
from django.db.models.functions import Now


class Migration(migrations.Migration):

    dependencies = [
        ('live', '0002_trace'),
    ]

    operations = [
        migrations.AlterField(
            model_name='event',
            name='at',
            field=models.DateTimeField(db_default=Now(), editable=False),
        ),
    ]
