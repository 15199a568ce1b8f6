"""The scan drill: what attackers' tools find at the door of the hospital's installation.

    python -m tests.drills scan            # some ten minutes
    python -m tests.drills scan --only sslscan

Starts the very commands of docker/compose.yml behind nginx and TLS (tests/stack/deployment.py) and
lets sslscan, wapiti and schemathesis at it, the last two signed in. A tool that is not there is
named, and what it would have looked for has not been looked for. `EXPLAINED` has the findings that
stay, and why; docs/threat-model.md repeats them.

wapiti is a program of its own (GPL, run and never linked), in an environment of its own:

    uv venv .tools/wapiti && uv pip install --python .tools/wapiti/bin/python wapiti3
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import httpx
from rich.console import Console

from hospital.config.demo.screen import TOKEN
from tests.stack import deployment as made
from tests.stack.harness import ROOT

WAPITI = ROOT / ".tools" / "wapiti" / "bin" / "python"
LEVELS = ("informational", "low", "medium", "high", "critical")
# What stays, by a part of its words, and why.
EXPLAINED = {
    "HttpOnly flag is not set in the cookie : leukolens_csrf": "the page's own script reads the "
    "token and sends it as a header; it opens nothing without the session, which is HttpOnly",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What a tool has to say: one of LEVELS, and its words."""

    tool: str
    level: str
    words: str

    @property
    def explained(self) -> str:
        """Why it stays, if it does."""
        return next((why for part, why in EXPLAINED.items() if part in self.words), "")

    @property
    def is_trouble(self) -> bool:
        """Whether somebody has to do something about it."""
        return self.level != "informational" and not self.explained


@dataclass(frozen=True, slots=True)
class Target:
    """The installation, and the session of somebody who works in it."""

    url: str
    folder: Path
    cookie: str
    token: str
    key: str
    seconds: int


class NotThere(Exception):
    """The tool is not on this machine."""


# --- the tools ------------------------------------------------------------------------------------


def sslscan(target: Target) -> Iterator[Finding]:
    """Protocols, ciphers and old holes of TLS."""
    program = shutil.which("sslscan")
    if program is None:
        raise NotThere("apt-get install sslscan")
    report = target.folder / "sslscan.xml"
    address = target.url.removeprefix("https://")
    _run([program, f"--xml={report}", "--no-colour", address])
    test = ElementTree.parse(report).getroot().find("ssltest")
    assert test is not None, "sslscan reached nobody"
    for one in test.iter("protocol"):
        name = f"{one.get('type')} {one.get('version')}"
        if one.get("enabled") == "1" and name.casefold() not in {"tls 1.2", "tls 1.3"}:
            yield Finding("sslscan", "high", f"{name} is offered")
    for one in test.iter("cipher"):
        if one.get("strength") not in {"strong", "acceptable"}:
            yield Finding("sslscan", "medium", f"weak cipher {one.get('cipher')}")
        elif "GCM" not in str(one.get("cipher")) and "POLY1305" not in str(one.get("cipher")):
            yield Finding("sslscan", "low", f"cipher without authentication {one.get('cipher')}")
    for hole in ("compression", "heartbleed"):
        for one in test.iter(hole):
            if one.get("supported") == "1" or one.get("vulnerable") == "1":
                yield Finding("sslscan", "critical", f"{hole} {one.attrib}")
    for one in test.iter("renegotiation"):
        if one.get("supported") == "1" and one.get("secure") != "1":
            yield Finding("sslscan", "high", "insecure renegotiation")
    if (one := test.find("fallback")) is not None and one.get("supported") != "1":
        yield Finding("sslscan", "low", "no TLS_FALLBACK_SCSV")


def wapiti(target: Target) -> Iterator[Finding]:
    """Injections, inclusions, redirects and headers, in every page that a reader comes to."""
    if not WAPITI.exists():
        raise NotThere("see the docstring of tests/drills/scan.py")
    report = target.folder / "wapiti.json"
    line = [
        str(WAPITI), "-c", "from wapitiCore.main.wapiti import wapiti_asyncio_wrapper as w; w()",
        "--url", f"{target.url}/", "--scope", "domain", "--verify-ssl", "0", "--no-bugreport",
        "--flush-session", "--store-session", str(target.folder / "wapiti"),
        # Without these two Django refuses what is posted, and nothing behind that is tried.
        "--header", f"Referer: {target.url}/", "--header", f"X-CSRFToken: {target.token}",
        "--cookie-value", target.cookie,
        "--exclude", f"{target.url}/logout/",
        "--exclude", f"{target.url}/admin/logout/",
        "--exclude", f"{target.url}/account/sessions/end/",
        "--max-scan-time", str(6 * target.seconds),
        "--max-attack-time", str(target.seconds), "--endpoint", NOWHERE, "--timeout", "20",
        "--max-files-per-dir", "25", "--module", MODULES, "--format", "json",
        "--output", str(report), "--verbose", "0",
    ]  # fmt: skip
    _run(line)
    found = json.loads(report.read_text())
    for category in ("vulnerabilities", "anomalies"):
        for kind, findings in found[category].items():
            for one in findings:
                words = f"{kind}: {one['method']} {one['path']} {one['info']}"
                yield Finding("wapiti", LEVELS[one["level"]], words)
    pages = found["infos"].get("crawled_pages_nbr", "?")
    yield Finding("wapiti", "informational", f"{pages} pages and forms looked at")


# Without what would have the installation call somebody on the internet.
MODULES = (
    "cookieflags,crlf,csp,csrf,exec,file,http_headers,methods,"
    "permanentxss,redirect,sql,timesql,upload,xss,xxe"
)
NOWHERE = "http://127.0.0.1:9/"


# A piece of a picture is bytes.
SCHEMATHESIS = """
import schemathesis
from schemathesis.cli import schemathesis as program
schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")
program()
"""


def schemathesis(target: Target) -> Iterator[Finding]:
    """Every operation of the APIs, by their description as the installation serves it."""
    report = target.folder / "schemathesis.json"
    schema = target.folder / "openapi.yaml"
    headers = {"Cookie": target.cookie}
    with httpx.Client(verify=False, headers=headers) as client:
        schema.write_text(client.get(f"{target.url}/api/schema/").text)
    for who, told in {
        "staff": [f"Cookie:{target.cookie}", f"X-CSRFToken:{target.token}",
                  f"Referer:{target.url}/"],
        "microscope": [f"Authorization:Bearer {target.key}"],
    }.items():  # fmt: skip
        line = [
            sys.executable, "-c", SCHEMATHESIS, "run",
            str(schema), "--url", target.url, "--tls-verify", "false",
            "--max-time", str(2 * target.seconds),
            "--checks", "not_a_server_error,content_type_conformance,response_schema_conformance",
            "--report-json-path", str(report), "--continue-on-failure", "--warnings", "off",
            "--request-timeout", "30", "--generation-deterministic", "--no-shrink",
            *(part for header in told for part in ("--header", header)),
        ]  # fmt: skip
        said = _run(line)
        for failure in sorted(set(re.findall(r"^- (\S+ \D.*)$", said, re.M))):
            yield Finding("schemathesis", "medium", f"{who}: {failure}")
        for error in sorted(set(re.findall(r"^  🚫 (.*)$", said, re.M)) - {"Fuzzing"}):
            yield Finding("schemathesis", "medium", f"{who}: not tried: {error}")
        tried = re.search(r"^  (\d+ generated, .*)$", said, re.M)
        assert tried, f"schemathesis tried nothing: {said[-2000:]}"
        yield Finding("schemathesis", "informational", f"{who}: {tried.group(1)}")
        (target.folder / f"schemathesis-{who}.log").write_text(said)


TOOLS: dict[str, Callable[[Target], Iterator[Finding]]] = {
    "sslscan": sslscan,
    "wapiti": wapiti,
    "schemathesis": schemathesis,
}


def _run(line: list[str]) -> str:
    kept = {k: v for k, v in os.environ.items() if k not in {"DJANGO_SETTINGS_MODULE"}}
    done = subprocess.run(line, env=kept, cwd=ROOT, capture_output=True, text=True, check=False)
    return f"{done.stdout}\n{done.stderr}"


# --- the target -----------------------------------------------------------------------------------


def aim(hospital: made.Deployment, seconds: int) -> Target:
    """All that can be reached from outside is started, and a haematologist has signed in."""
    made.prepare(hospital)
    hospital.start("web")
    nginx = subprocess.run(
        ["sh", "bin/proxy"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    )
    hospital.start_proxy(nginx.stdout.strip())
    hospital.await_healthy("web")
    told = hospital.environment("web") | {"DJANGO_SETTINGS_MODULE": "hospital.config.settings"}
    seed = [sys.executable, "-m", "tests.stack.seed"]
    founded = subprocess.run(seed, cwd=ROOT, env=told, check=True, stdout=subprocess.PIPE)
    world = json.loads(founded.stdout)
    with httpx.Client(base_url=hospital.url, verify=False, timeout=60) as client:
        token = TOKEN.search(client.get("/login/").text)
        assert token is not None
        form = {
            "csrfmiddlewaretoken": token.group(1),
            **{k: world[k] for k in ("username", "password")},
        }
        origin = {"Origin": hospital.url, "Referer": f"{hospital.url}/login/"}
        assert client.post("/login/", data=form, headers=origin).status_code == 302
        cookies = dict(client.cookies)
    cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
    csrf = next(value for name, value in cookies.items() if "csrf" in name)
    return Target(hospital.url, hospital.folder, cookie, csrf, world["key"], seconds)


def told(found: list[Finding]) -> Counter[tuple[str, str, str]]:
    """How often each was found: trouble first, in its words; what is explained by its reason."""
    return Counter(
        (one.tool, f"{one.level}, explained", one.explained)
        if one.explained
        else (one.tool, one.level, one.words)
        for one in sorted(found, key=lambda f: (not f.is_trouble, f.tool, f.level, f.words))
    )


def main(arguments: list[str]) -> int:
    """Run it; 1 when something was found that nobody has explained."""
    parser = argparse.ArgumentParser(prog="tests.drills scan", description=__doc__)
    parser.add_argument("--only", choices=TOOLS, action="append", help="one tool; may be repeated")
    parser.add_argument("--seconds", type=int, default=40, help="for each way of an attack")
    parser.add_argument("--keep", type=Path, help="a folder for the tools' own reports")
    chosen = parser.parse_args(arguments)
    say = Console().print
    found: list[Finding] = []
    with tempfile.TemporaryDirectory() as given:
        folder = chosen.keep or Path(given)
        folder.mkdir(parents=True, exist_ok=True)
        made.certificates(folder / "certificates")
        with made.deployed(folder) as hospital:
            target = aim(hospital, chosen.seconds)
            for name in chosen.only or TOOLS:
                try:
                    found += TOOLS[name](target)
                    say(f"{name} has looked")
                except NotThere as how:
                    say(f"{name} is NOT THERE and has not looked: {how}", style="red")
    for (tool, level, words), many in told(found).items():
        style = "" if level.endswith("explained") or level == LEVELS[0] else "red"
        times = f" ({many} times)" if many > 1 else ""
        say(f"{tool:12} {level:17} {words}{times}", style=style, soft_wrap=True)
    return 1 if any(one.is_trouble for one in found) else 0
