"""The head of the chain, signed and kept outside the database, so that a cut-off tail is noticed.

An anchor is one line of JSON: position, digest and moment, signed with the installation's Ed25519
key. Lines are appended to AUDIT_ANCHOR_FILE, which belongs on another disk or machine than the
database, are logged (and so reach the hospital's syslog), and mailed to AUDIT_ANCHOR_MAILS.
"""

import base64
import json
import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from django.conf import settings
from django.core.mail import send_mail
from django.utils import timezone

from hospital.audit.models import Seal

log = logging.getLogger(__name__)


class BadAnchor(ValueError):
    """A line that this installation has not signed, or that was changed since."""


@dataclass(frozen=True)
class Anchor:
    """Where the chain ended at a moment."""

    position: int
    digest: str
    at: str

    def line(self, key: Ed25519PrivateKey) -> str:
        """As it is kept, signed."""
        signature = base64.b64encode(key.sign(self._signed())).decode()
        return json.dumps({**vars(self), "signature": signature})

    @classmethod
    def of(cls, line: str, key: Ed25519PublicKey) -> "Anchor":
        """Read a kept line.

        Raises:
            BadAnchor: it is none, or not signed with `key`.
        """
        try:
            told = json.loads(line)
            anchor = cls(int(told["position"]), str(told["digest"]), str(told["at"]))
            key.verify(base64.b64decode(told["signature"]), anchor._signed())
        except (ValueError, KeyError, TypeError, InvalidSignature) as error:
            raise BadAnchor("The line is not an anchor signed by this installation.") from error
        return anchor

    def _signed(self) -> bytes:
        return json.dumps([self.position, self.digest, self.at]).encode()


def head() -> Anchor | None:
    """Where the chain ends now; None while it is empty."""
    last = Seal.objects.order_by("-position").first()
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Anchor(last.position, last.digest, now) if last else None


def drop_when_due() -> bool:
    """Keep an anchor unless the last one is fresh or the chain has not grown. Whether one was."""
    last = newest()
    fresh = timezone.now() - timedelta(seconds=settings.AUDIT_ANCHOR_SECONDS)
    if last and datetime.fromisoformat(last.at) > fresh:
        return False
    return drop(unless_at=last.position if last else 0) is not None


def drop(*, unless_at: int = -1) -> Anchor | None:
    """Keep the head outside, unless the chain still ends at the position `unless_at`."""
    anchor = head()
    if anchor is None or anchor.position == unless_at:
        return None
    line = anchor.line(private_key())
    _append(Path(settings.AUDIT_ANCHOR_FILE), line)
    log.info("audit anchor %s", line)
    if settings.AUDIT_ANCHOR_MAILS:
        _mail(line)
    return anchor


def kept(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of an anchor file with their numbers, from 1; none when there is no file."""
    if path.exists():
        lines = path.read_text(errors="replace").splitlines()
        yield from ((number, line) for number, line in enumerate(lines, start=1) if line.strip())


def newest() -> Anchor | None:
    """The last sound anchor of this installation's own file."""
    for _, line in reversed(list(kept(Path(settings.AUDIT_ANCHOR_FILE)))):
        try:
            return Anchor.of(line, public_key())
        except BadAnchor:
            continue
    return None


def private_key() -> Ed25519PrivateKey:
    """The key in AUDIT_KEY_FILE, made when there is none."""
    path = Path(settings.AUDIT_KEY_FILE)
    if not path.exists():
        _make_key(path)
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    assert isinstance(key, Ed25519PrivateKey), f"{path} holds no Ed25519 key"
    return key


def public_key(path: Path | None = None) -> Ed25519PublicKey:
    """The key that anchors are checked with: of a PEM file, else this installation's."""
    if path is None:
        return private_key().public_key()
    key: Any = serialization.load_pem_public_key(path.read_bytes())
    assert isinstance(key, Ed25519PublicKey), f"{path} holds no Ed25519 key"
    return key


def public_pem() -> str:
    """The public key as text, to be kept elsewhere."""
    encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return public_key().public_bytes(encoding, form).decode()


def _make_key(path: Path) -> None:
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}-{os.getpid()}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(descriptor)
    try:
        os.link(new, path)  # whoever comes second takes the key of the first
    except FileExistsError:
        pass
    finally:
        new.unlink()


def _append(path: Path, line: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "ab") as file:
        file.write(f"{line}\n".encode())
        file.flush()
        os.fsync(descriptor)


def _mail(line: str) -> None:
    try:
        send_mail("Audit anchor", line, None, _listed(settings.AUDIT_ANCHOR_MAILS))
    except OSError:
        log.warning("the anchor could not be mailed; it is in the file", exc_info=True)


def _listed(addresses: Iterable[str]) -> list[str]:
    return [address.strip() for address in addresses if address.strip()]
