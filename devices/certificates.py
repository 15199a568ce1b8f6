"""Client certificates by their SHA-256 fingerprint, in the ways in which proxies write them."""

import hashlib
import re
import ssl
from urllib.parse import unquote

# For people, where `fingerprint_of` cannot read what they gave.
NO_FINGERPRINT = "Give the SHA-256 fingerprint: 64 hexadecimal digits, with or without colons."
_HEX = re.compile(r"[0-9a-f]{64}")


def fingerprint_of(text: str) -> str:
    """The SHA-256 fingerprint, 64 small hexadecimal digits, that `text` gives.

    Args:
        text: a fingerprint with or without colons, or a certificate in PEM, URL-encoded or not
            (nginx: `$ssl_client_escaped_cert`; its `$ssl_client_fingerprint` is SHA-1 and no use).

    Raises:
        ValueError: neither of them.
    """
    # '+' is a letter of base64 here, never a blank: so unquote, not unquote_plus.
    plain = unquote(text).strip()
    if plain.startswith("-----BEGIN CERTIFICATE-----"):
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(plain)).hexdigest()
    digits = plain.lower().removeprefix("sha256 fingerprint=").removeprefix("sha256:")
    digits = digits.replace(":", "").replace(" ", "")
    if not _HEX.fullmatch(digits):
        raise ValueError("neither a SHA-256 fingerprint nor a certificate in PEM")
    return digits
