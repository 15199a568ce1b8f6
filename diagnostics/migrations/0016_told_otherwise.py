"""What was told and stands no more is critical as well."""

from django.conf import settings
from django.db import migrations, models

from hospital.base.write_once import write_once


class Migration(migrations.Migration):

    dependencies = [
        ('diagnostics', '0015_write_once'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='contacttry',
            name='contact_source_known',
        ),
        migrations.RemoveConstraint(
            model_name='criticalfinding',
            name='critical_finding_source_known',
        ),
        migrations.AlterField(
            model_name='contacttry',
            name='source',
            field=models.CharField(choices=[('model', 'the model, not yet reviewed'), ('signed', 'signed'), ('changed', 'signed, instead of what was told'), ('withdrawn', 'was told, and is withdrawn')], max_length=10),
        ),
        migrations.AlterField(
            model_name='criticalfinding',
            name='source',
            field=models.CharField(choices=[('model', 'the model, not yet reviewed'), ('signed', 'signed'), ('changed', 'signed, instead of what was told'), ('withdrawn', 'was told, and is withdrawn')], max_length=10),
        ),
        migrations.AddConstraint(
            model_name='contacttry',
            constraint=models.CheckConstraint(condition=models.Q(('source__in', ['model', 'signed', 'changed', 'withdrawn'])), name='contact_source_known'),
        ),
        migrations.AddConstraint(
            model_name='criticalfinding',
            constraint=models.CheckConstraint(condition=models.Q(('source__in', ['model', 'signed', 'changed', 'withdrawn'])), name='critical_finding_source_known'),
        ),
        # SQLite made the tables anew.
        write_once(
            'diagnostics_contacttry',
            forgetting={'name': "= '(erased)'", 'role': "= ''", 'note': "= ''"},
        ),
        write_once('diagnostics_criticalfinding'),
    ]
