"""A hospital with its web server running, as the browser tests meet it.

The server runs in a thread of the tests' own process, on the tests' database and a real Redis.
Playwright keeps an event loop running in the main thread, where Django then refuses the database;
so whatever a test does behind the pages goes through `Hospital.do`, in a thread of its own.
"""

import itertools
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx
import uvicorn
from django.db import connections
from django.test import Client

from diagnostics.models import DiagnosticReport, FieldImage, FoundCells, Outcome, Specimen
from diagnostics.services import analyses
from hospital.accounts.models import User
from hospital.base import files
from hospital.config.stack.ports import free_port
from ml import images, outlines
from ml.segmentation import segment
from tests.browser.smears import smear
from tests.world import SURE, World, content_digest, found, look_and_sign, result_of, store_result

T = TypeVar("T")


@dataclass
class WebServer:
    """uvicorn with the product's own ASGI application; may be stopped and started again."""

    app: Any
    port: int = field(default_factory=free_port)
    _server: uvicorn.Server | None = None
    _thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        config = uvicorn.Config(
            self.app,
            host="127.0.0.1",
            port=self.port,
            log_level="warning",
            lifespan="off",
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise RuntimeError("the web server did not start")
            self._thread.join(0.02)

    def stop(self) -> None:
        if self._server and self._thread:
            self._server.should_exit = True
            self._thread.join(10)
            self._server = self._thread = None


class Hospital:
    """The world of tests/world.py, a web server in front of it, and hands to act in it."""

    def __init__(self, server: WebServer) -> None:
        self.server = server
        self._hands = ThreadPoolExecutor(max_workers=1)
        self._numbers = itertools.count(1)
        self.world: World = self.do(found)

    def close(self) -> None:
        self.do(connections.close_all)
        self._hands.shutdown()

    def do(self, act: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Do something with the database and wait for it."""
        return self._hands.submit(act, *args, **kwargs).result()

    def session(self, user: User) -> str:
        """A session cookie of `user`, signed in."""

        def sign_in() -> str:
            client = Client()
            client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
            return client.session.session_key or ""

        return self.do(sign_in)

    def send(self, *, kind: str = "Pre", specimen: Specimen | None = None) -> uuid.UUID:
        """A microscope sends a picture through the device API."""
        specimen = specimen or self.world.specimen
        ours = specimen.clinic_id == self.world.clinic.pk
        body, image_id = smear(kind, next(self._numbers)), uuid.uuid4()
        answer = httpx.put(
            f"{self.server.url}/api/device/v1/images/{image_id}",
            content=body,
            headers={
                "Authorization": f"Bearer {self.world.key if ours else self.world.other_key}",
                "Content-Type": "image/jpeg",
                "Content-Digest": content_digest(body),
                "Accession-Number": specimen.accession,
            },
        )
        assert answer.status_code == 201, answer.text
        return image_id

    def read(
        self,
        image_id: uuid.UUID,
        probabilities: dict[str, float] | None = None,
        *,
        outcome: str = Outcome.CLASSIFIED,
        rejection: str = "",
    ) -> DiagnosticReport:
        """A worker finishes the picture's analysis with this result."""

        def finish() -> DiagnosticReport:
            image = FieldImage.objects.get(pk=image_id)
            analysis = self.world.claim(image)
            result = result_of(analysis, probabilities or SURE, outcome) | drawn(image, analysis.pk)
            assert store_result(analysis, outcome=outcome, rejection=rejection, result=result)
            FoundCells.objects.create(analysis=analysis, outlines=packed(image))
            return report_of(image.specimen)

        return self.do(finish)

    def fail(self, image_id: uuid.UUID, code: str = "internal") -> DiagnosticReport:
        """A worker gives the picture's analysis up."""

        def give_up() -> DiagnosticReport:
            image = FieldImage.objects.get(pk=image_id)
            assert analyses.fail(self.world.claim(image), code=code)
            return report_of(image.specimen)

        return self.do(give_up)

    def report(
        self, probabilities: dict[str, float] | None = None, *, kind: str = "Pre"
    ) -> DiagnosticReport:
        """A picture is sent and read."""
        return self.read(self.send(kind=kind), probabilities)

    def sign(self, report: DiagnosticReport, conclusion: str, comment: str = "") -> None:
        """The haematologist signs, from another screen."""

        def put_name() -> None:
            present = DiagnosticReport.objects.get(pk=report.pk)
            look_and_sign(self.world.haematologist, present, conclusion, comment=comment)

        self.do(put_name)


def report_of(specimen: Specimen) -> DiagnosticReport:
    """The specimen's report as it stands."""
    return DiagnosticReport.objects.select_related("specimen").get(specimen=specimen)


def drawn(image: FieldImage, analysis_id: uuid.UUID) -> dict[str, Any]:
    """The pictures a worker leaves: really segmented, so that screenshots show what users see."""
    picture = images.decode(files.read(image.storage_key))
    found_cells = segment(picture)
    folder = f"derived/{analysis_id}"
    return {
        "segmented_key": files.put(
            f"{folder}/segmented.png", images.encode_png(found_cells.isolate(picture))
        ),
        "overlay_key": files.put(
            f"{folder}/outlines.jpg", images.encode_jpeg(found_cells.outline(picture))
        ),
        "thumbnail_key": files.put(
            f"{folder}/small.jpg", images.encode_jpeg(images.thumbnail(picture, 160))
        ),
        "cell_count": len(found_cells.cells),
        "package_name": "fusion-1.0.0",
        "engine": "tensorflow 2.21 cpu",
        "preprocessing": "hsv-stain-1",
        "quality": {
            "verdict": "ok",
            "metrics": {"focus": 1.82, "brightness": 236.0, "contrast": 148.0},
        },
    }


def packed(image: FieldImage) -> bytes:
    """The outlines that a worker keeps of the picture."""
    return outlines.pack(segment(images.decode(files.read(image.storage_key))))
