"""What somebody put their name to stays as it was: the database refuses to change it."""

from django.db import migrations

from hospital.base.write_once import write_once


class Migration(migrations.Migration):
    dependencies = [("diagnostics", "0014_signing")]
    operations = [write_once("diagnostics_reportversion"), write_once("diagnostics_signature")]
