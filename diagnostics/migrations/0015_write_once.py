"""What somebody put their name to stays as it was: the database refuses to change it."""

from django.db import migrations

from hospital.base.write_once import write_once


class Migration(migrations.Migration):
    dependencies = [("diagnostics", "0014_signing")]
    operations = [
        # Erasing a patient empties whose it was; the digest, which stays, no longer fits.
        write_once(
            "diagnostics_reportversion", forgetting={"content": "->'patient'->>'mrn' = ''"}
        ),
        write_once(
            "diagnostics_signature",
            forgetting={"comment": "= ''", "words": "= '{}'", "reason": "IN ('', '(erased)')"},
        ),
    ]
