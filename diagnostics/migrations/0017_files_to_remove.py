"""What is to go is written down before it goes."""

import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('diagnostics', '0016_told_otherwise'),
    ]

    operations = [
        migrations.CreateModel(
            name='FileToRemove',
            fields=[
                ('key', models.CharField(max_length=200, primary_key=True, serialize=False)),
                ('since', models.DateTimeField(default=django.utils.timezone.now)),
                ('due_at', models.DateTimeField(db_index=True, default=django.utils.timezone.now)),
                ('gone_at', models.DateTimeField(help_text='It is looked at once more after that.', null=True)),
            ],
        ),
    ]
