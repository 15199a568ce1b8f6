"""The installation's keys, sealed with a passphrase: who holds only the backup holds no key."""

import base64
import json
import os
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from django.conf import settings

from hospital.config.backup.manifest import BackupError

_SALT = 16


def key_files() -> dict[str, Path]:
    """The files that hold keys, by the name they have in a backup; those that are there."""
    named = {
        "secret-key": Path(settings.VAR_DIR) / "secret-key",
        "audit-key.pem": Path(settings.AUDIT_KEY_FILE),
        "dicom-certificate.pem": Path(settings.DICOM_TLS_CERTIFICATE or "/nowhere"),
        "dicom-key.pem": Path(settings.DICOM_TLS_KEY or "/nowhere"),
    }
    return {name: path for name, path in named.items() if path.is_file()}


def sealed(passphrase: str) -> bytes:
    """All key files, and the SECRET_KEY in use, under the passphrase."""
    held = {name: path.read_text() for name, path in key_files().items()}
    held["secret-key"] = str(settings.SECRET_KEY)
    salt = os.urandom(_SALT)
    return salt + _cipher(passphrase, salt).encrypt(json.dumps(held).encode())


def unsealed(data: bytes, passphrase: str) -> dict[str, str]:
    """What `sealed` held, by name.

    Raises:
        BackupError: it is another passphrase.
    """
    try:
        opened = _cipher(passphrase, data[:_SALT]).decrypt(data[_SALT:])
    except InvalidToken as wrong:
        raise BackupError("The passphrase does not open the keys of this backup.") from wrong
    held: dict[str, str] = json.loads(opened)
    return held


def put_back(held: dict[str, str]) -> list[str]:
    """Write the keys, for their owner only; another one that was here is moved aside.

    A new installation makes itself keys when it is first started, so there mostly is one. TLS keys
    are not written: where they belong is for whoever configures DICOM.

    Returns what was done, in words.
    """
    places = {
        "secret-key": Path(settings.VAR_DIR) / "secret-key",
        "audit-key.pem": Path(settings.AUDIT_KEY_FILE),
    }
    told = []
    for name in places.keys() & held.keys():
        path = places[name]
        if path.exists():
            if path.read_text() == held[name]:
                continue
            path.replace(path.with_name(f"{path.name}.before-restore"))
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(held[name])
        told.append(f"{path}: put back")
    return sorted(told)


def _cipher(passphrase: str, salt: bytes) -> Fernet:
    key = Scrypt(salt=salt, length=32, n=2**15, r=8, p=1).derive(passphrase.encode())
    return Fernet(base64.urlsafe_b64encode(key))
