"""Passwords and microscope keys of the demonstration: made once, kept beside its data."""

import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# No letters that look like others: these are typed from a terminal into a browser.
LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


@dataclass(frozen=True, slots=True)
class Login:
    """A person who can sign in, and what there is to see for them."""

    username: str
    password: str
    name: str
    part: str


class Logins:
    """The file `demo-logins.json`, readable by its owner only."""

    def __init__(self, var: Path) -> None:
        self.path = var / "demo-logins.json"
        self._kept: dict[str, Any] = {"people": {}, "keys": {}}
        if self.path.exists():
            self._kept = json.loads(self.path.read_text())

    @property
    def exist(self) -> bool:
        """Whether a demonstration was founded here before."""
        return self.path.exists()

    def person(self, username: str, *, name: str, part: str) -> Login:
        """The login of `username`, made on first asking."""
        people = self._kept["people"]
        password = people.get(username, {}).get("password") or _password()
        people[username] = {"password": password, "name": name, "part": part}
        self._save()
        return Login(username, password, name, part)

    def key_of(self, serial: str) -> str | None:
        """The key of the microscope with that serial number, if one was kept."""
        key: str | None = self._kept["keys"].get(serial)
        return key

    def keep_key(self, serial: str, key: str) -> None:
        """Keep a microscope's key, which the product itself shows only once."""
        self._kept["keys"][serial] = key
        self._save()

    def _save(self) -> None:
        draft = self.path.with_suffix(".draft")
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(self._kept, indent=2))
        draft.replace(self.path)


def _password() -> str:
    return "-".join("".join(secrets.choice(LETTERS) for _ in range(4)) for _ in range(3))
