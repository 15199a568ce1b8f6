"""The processes of docker/compose.yml without containers: the same commands, the same settings.

What a container has and this machine has not, an address or a folder, is put in its place; every
substitution is in `Places`, and nothing else is changed.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from hospital.config.stack.child import tied_to_this_process
from hospital.config.stack.ports import LOOPBACK, free_port
from tests import servers
from tests.stack.harness import PRIVATE, ROOT, wait_until

DOCKER = ROOT / "docker"
# The product's own processes, in the order in which they are started.
OURS = ("web", "worker-cpu", "housekeeping", "beat")
_VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


class NotGiven(Exception):
    """compose.yml wants a variable that nobody gave."""


def interpolated(text: str, given: Mapping[str, str]) -> str:
    """`text` with its ${NAMES} put in, as Compose does: `:-` has a default, `:?` insists."""

    def value(match: "re.Match[str]") -> str:
        name, how, rest = match.groups()
        if found := given.get(name):
            return found
        if how == "?":
            raise NotGiven(f"{name}: {rest}")
        return rest or ""

    return _VARIABLE.sub(value, text)


def compose(given: Mapping[str, str]) -> dict[str, Any]:
    """docker/compose.yml, interpolated and merged."""
    text = (DOCKER / "compose.yml").read_text()
    whole: dict[str, Any] = yaml.safe_load(interpolated(text, given))
    return whole


def image_environment() -> dict[str, str]:
    """What the image's ENV says, but for the path to its programs."""
    text = (DOCKER / "Dockerfile").read_text().rpartition("\nFROM ")[2]
    lines = re.search(r"^ENV (.*?[^\\])$", text, re.MULTILINE | re.DOTALL)
    assert lines is not None
    pairs = shlex.split(lines.group(1).replace("\\\n", " "))
    told = dict(pair.split("=", 1) for pair in pairs)
    del told["PATH"]
    return told


@dataclass
class Deployment:
    """A hospital's installation in a folder, by the commands of the compose file."""

    folder: Path
    given: dict[str, str]
    places: dict[str, str]
    web_port: int
    https_port: int
    http_port: int
    running: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where people and microscopes reach it."""
        return f"https://localhost:{self.https_port}"

    def environment(self, name: str) -> dict[str, str]:
        """What the process is told: the image's, the compose file's, in this machine's places."""
        service = compose(self.given)["services"][name]
        told = {
            key: str(value).lower() if isinstance(value, bool) else str(value)
            for key, value in {**image_environment(), **(service.get("environment") or {})}.items()
        }
        own = self.folder / name
        own.mkdir(exist_ok=True)
        kept = {k: v for k, v in os.environ.items() if k not in PRIVATE}
        # As in the image: Python's, and PostgreSQL's client.
        programs = (Path(sys.executable).parent, servers.postgresql_client())
        return {
            **kept,
            **{key: self.placed(value) for key, value in told.items()},
            "PATH": os.pathsep.join(map(str, [*programs, os.environ["PATH"]])),
            "LEUKOLENS_VAR": str(own),
            "LEUKOLENS_READY_FILE": str(own / "ready"),
        }

    def placed(self, text: str) -> str:
        """`text` with what is elsewhere on this machine."""
        for there, here in self.places.items():
            text = text.replace(there, here)
        return text

    def command(self, name: str, part: str = "command") -> list[str]:
        """The process's command line, or that of its health check."""
        service = compose(self.given)["services"][name]
        line = service["command"] if part == "command" else service["healthcheck"]["test"][1:]
        own = {"/tmp/ready": str(self.folder / name / "ready")}
        line = [own.get(str(word), str(word)) for word in line]
        return [str(self.web_port) if w == "8000" else self.placed(w) for w in line]

    def run(self, name: str, *more: str) -> str:
        """Run a process to its end, with `more` after its command line; what it said."""
        done = subprocess.run(
            [*self.command(name), *more],
            env=self.environment(name),
            cwd=ROOT,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        return done.stdout

    def start(self, name: str) -> None:
        """Start a process that stays."""
        with (self.folder / f"{name}.log").open("wb") as log:
            self.running[name] = subprocess.Popen(
                self.command(name),
                env=self.environment(name),
                cwd=ROOT,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=tied_to_this_process(),  # noqa: PLW1509
            )

    def is_healthy(self, name: str) -> bool:
        """Whether its own health check says so."""
        done = subprocess.run(
            self.command(name, "healthcheck"),
            env=self.environment(name),
            cwd=ROOT,
            capture_output=True,
            check=False,
        )
        return done.returncode == 0

    def await_healthy(self, name: str) -> None:
        """Wait until its health check says so."""
        wait_until(lambda: self._alive(name) and self.is_healthy(name), f"{name} healthy")

    def _alive(self, name: str) -> bool:
        log = (self.folder / f"{name}.log").read_text(errors="replace")
        assert self.running[name].poll() is None, f"{name} ended:\n{log[-3000:]}"
        return True

    def start_proxy(self, nginx: str) -> None:
        """nginx with the template of the compose file, as its image's entrypoint fills it in."""
        told = compose(self.given)["services"]["proxy"]["environment"]
        values = {key: self.placed(str(value)) for key, value in told.items()}
        template = (DOCKER / "nginx" / "leukolens.conf.template").read_text()
        own = self.folder / "proxy"
        own.mkdir()
        # Like envsubst: only names that are set; nginx's own $variables have no braces.
        filled = re.sub(r"\$\{(\w+)\}", lambda match: values[match.group(1)], template)
        (own / "leukolens.conf").write_text(filled.replace("/dev/stdout", str(own / "access.log")))
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = "".join(f"{kind}_temp_path {own}/{kind};\n" for kind in kinds)
        (own / "nginx.conf").write_text(
            f"daemon off; pid {own}/pid; error_log {own}/error.log;\nevents {{}}\n"
            f"http {{ {temporary} include {own}/leukolens.conf; }}\n"
        )
        user = ["-g", "user root;"] if os.geteuid() == 0 else []
        self.running["proxy"] = subprocess.Popen(
            [nginx, "-p", str(own), "-c", str(own / "nginx.conf"), *user],
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=tied_to_this_process(),  # noqa: PLW1509
        )

    def stop(self) -> None:
        """End everything."""
        for process in reversed(self.running.values()):
            process.terminate()
        deadline = time.monotonic() + 20
        for process in self.running.values():
            try:
                process.wait(timeout=max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def deployed(folder: Path) -> Iterator[Deployment]:
    """The servers that the compose file's other images bring, and nothing of ours started yet."""
    from moto.server import ThreadedMotoServer

    with ExitStack() as stack:
        database = stack.enter_context(servers.postgresql())
        broker = stack.enter_context(servers.redis())
        store = ThreadedMotoServer(ip_address=LOOPBACK, port=0, verbose=False)
        store.start()
        stack.callback(store.stop)
        host, port = store.get_host_and_port()
        web, https, http = free_port(), free_port(), free_port()
        secrets = folder / "secrets"
        secrets.mkdir()
        (secrets / "secret_key").write_text("k" * 30 + "only-for-this-test" + "y" * 20)
        (secrets / "database_url").write_text(database)
        (secrets / "store_key").write_text("store-key")
        (secrets / "backup_passphrase").write_text("four words of mine")
        given = {
            "ALLOWED_HOSTS": "localhost",
            "PUBLIC_URL": f"https://localhost:{https}",
            "PROBE_URL": f"http://localhost:{web}",
            "STORE_KEY": "store-key",
            "STAFF_MFA_REQUIRED": "false",  # the test signs in with a password
            "CERTIFICATES": str(folder / "certificates"),
        }
        places = {
            "/run/secrets": str(secrets),
            "redis://valkey:6379/0": broker.url,
            "store:7070": f"{host}:{port}",
            "web:8000": f"{LOOPBACK}:{web}",
            "0.0.0.0": LOOPBACK,
            "8443": str(https),
            "8080": str(http),
            "127.0.0.1:8000": f"{LOOPBACK}:{web}",
            # The proxy's network, and Prometheus's.
            "172.30.0.0/24": "127.0.0.0/8",
            "172.30.1.0/24": "127.0.0.0/8",
            "9100": str(free_port()),
            "/etc/leukolens": str(folder / "certificates"),
            "/srv/leukolens/static": str(folder / "static"),
            "/srv/leukolens/audit": str(folder / "audit"),
            "/backups": str(folder / "backups"),
        }
        deployment = Deployment(folder, given, places, web, https, http)
        try:
            yield deployment
        finally:
            deployment.stop()


def prepare(deployment: Deployment) -> None:
    """What the image's build, the store and the migration have done before anything starts."""
    told = deployment.environment("migrate")
    store = (
        "import boto3, os; boto3.client('s3', endpoint_url=os.environ['S3_ENDPOINT_URL'], "
        "aws_access_key_id='a', aws_secret_access_key='b', region_name='us-east-1')"
        ".create_bucket(Bucket='leukolens')"
    )
    subprocess.run([sys.executable, "-c", store], env=told, check=True)
    collect = ["manage.py", "collectstatic", "--no-input", "--verbosity", "0"]
    subprocess.run([sys.executable, *collect], cwd=ROOT, env=told, check=True)
    deployment.run("migrate")


def certificates(folder: Path) -> None:
    """A server's certificate for localhost, an authority for microscopes, and one microscope's."""
    openssl = shutil.which("openssl")
    assert openssl, "openssl is needed to make certificates"
    folder.mkdir()

    def run(line: str) -> None:
        subprocess.run([openssl, *shlex.split(line)], cwd=folder, check=True, capture_output=True)

    new = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30"
    run(
        f"{new} -keyout server.key -out server.pem -subj /CN=localhost "
        "-addext subjectAltName=DNS:localhost"
    )
    run(f"{new} -keyout ca.key -out microscopes-ca.pem -subj '/CN=Microscopes'")
    run(
        "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout bench.key "
        "-out bench.csr -subj /CN=bench-1"
    )
    run(
        "x509 -req -in bench.csr -CA microscopes-ca.pem -CAkey ca.key -CAcreateserial "
        "-days 30 -out bench.pem"
    )
