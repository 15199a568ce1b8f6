"""How long patients are kept, also those of whom there never was a specimen."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('patients', '0005_languages'),
    ]

    operations = [
        migrations.AlterField(
            model_name='retentionrule',
            name='kind',
            field=models.CharField(choices=[('patients', 'Patients, from their last specimen or registration on'), ('events', 'The log that screens catch up from'), ('looks', 'Which pictures a reader was shown')], max_length=20, unique=True),
        ),
    ]
