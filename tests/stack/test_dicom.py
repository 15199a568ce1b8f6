"""DICOM as others speak it: dcmtk's programs and dicomweb-client against the real processes.

docs/dicom.md is kept by these: its lines and its programs run.
"""

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from http.client import HTTPConnection

import pydicom
import pytest
from dicomweb_client.api import DICOMwebClient

from hospital.config.stack import processes
from hospital.config.stack.child import tied_to_this_process
from hospital.config.stack.ports import LOOPBACK, free_port
from hospital.config.stack.run import _children
from tests.stack.harness import ROOT, environment, wait_until
from tests.stack.smears import smears

pytestmark = pytest.mark.stack

PAGE = (ROOT / "docs" / "dicom.md").read_text()
SETTINGS = {"DJANGO_SETTINGS_MODULE": "hospital.config.settings"}


def block(language, number=0):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)[number].strip()


def run(*command, check=True, **options):
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, **options
    )
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


@contextmanager
def process(command, told, log):
    with log.open("wb") as out:
        started = subprocess.Popen(
            command,
            cwd=ROOT,
            env=told,
            stdout=out,
            stderr=subprocess.STDOUT,
            preexec_fn=tied_to_this_process(),  # noqa: PLW1509
        )
    try:
        yield started
    finally:
        started.kill()
        started.wait()


class Hospital:
    """The web and the DIMSE door, without broker and workers: taking in needs neither."""

    def __init__(self, var):
        self.var = var
        self.port, self.web_port = free_port(), free_port()
        self.told = environment(var, DICOM_PORT=str(self.port), REDIS_URL="redis://127.0.0.1:1/0")
        run(sys.executable, "manage.py", "migrate", "-v", "0", cwd=ROOT, env=self.told)
        seeded = run(
            sys.executable, "-m", "tests.stack.seed", cwd=ROOT, env={**self.told, **SETTINGS}
        )
        world = json.loads(seeded.stdout)
        self.key, self.accessions = world["key"], iter(world["accessions"])
        self.url = f"http://{LOOPBACK}:{self.web_port}"

    def door(self):
        return process([sys.executable, "manage.py", "dicom"], self.told, self.var / "dicom.log")

    def web(self):
        command = [sys.executable, "-m", "hospital.config.serve", "--port", str(self.web_port)]
        return process(command, self.told, self.var / "web.log")

    def listens(self):
        return "DICOM: LEUKOLENS" in (self.var / "dicom.log").read_text()

    def serves(self):
        connection = HTTPConnection(LOOPBACK, self.web_port, timeout=5)
        try:
            connection.request("GET", "/api/dicom/studies")
            return connection.getresponse().status == 401
        except OSError:
            return False
        finally:
            connection.close()

    def object_file(self, folder, *, mrn="N-1"):
        """An object made by the page's own program, of a specimen that no other test has used."""
        jpeg, path = folder / "smear.jpg", folder / "smear.dcm"
        [body] = smears(1)
        jpeg.write_bytes(body)
        run(sys.executable, "-c", block("python", 1), jpeg, next(self.accessions), mrn, path)
        return path


@pytest.fixture(scope="module")
def hospital(tmp_path_factory):
    founded = Hospital(tmp_path_factory.mktemp("dicom"))
    with founded.door(), founded.web():
        wait_until(founded.listens, "a DICOM door")
        wait_until(founded.serves, "a web")
        yield founded


@pytest.fixture(scope="module")
def dcmtk():
    """dcmtk's programs, brought if need be."""
    return {
        **os.environ,
        "PATH": f"{run('sh', ROOT / 'bin/dcmtk').stdout.strip()}:{os.environ['PATH']}",
    }


@pytest.fixture
def archive(hospital):
    return DICOMwebClient(
        f"{hospital.url}/api/dicom", headers={"Authorization": f"Bearer {hospital.key}"}
    )


def test_the_pages_lines_echo_and_store(hospital, dcmtk, archive, tmp_path):
    sent = pydicom.dcmread(hospital.object_file(tmp_path))
    for line in block("sh").replace("11112", str(hospital.port)).splitlines():
        run("sh", "-c", line, cwd=tmp_path, env=dcmtk)
    [found] = archive.search_for_instances(
        search_filters={"SOPInstanceUID": sent.SOPInstanceUID}, fields=["PatientID"]
    )
    assert found["00080050"]["Value"] == [sent.AccessionNumber]
    [back] = archive.retrieve_study(sent.StudyInstanceUID)
    assert back.PixelData == sent.PixelData
    assert back.PatientID == "N-1"


def test_storescu_is_told_why_not(hospital, dcmtk, archive, tmp_path):
    path = hospital.object_file(tmp_path, mrn="N-2")
    line = block("sh").replace("11112", str(hospital.port)).splitlines()[1]
    done = run(
        "sh", "-c", line.replace("storescu", "storescu -d"), cwd=tmp_path, env=dcmtk, check=False
    )
    said = done.stdout + done.stderr
    assert "0xc003" in said
    assert "other_patient" in said
    assert done.returncode != 0
    uid = str(pydicom.dcmread(path).SOPInstanceUID)
    assert not archive.search_for_instances(search_filters={"SOPInstanceUID": uid})


def test_an_ae_title_that_nobody_has_is_turned_away(hospital, dcmtk):
    command = ["echoscu", "-aet", "NOBODY", "-aec", "LEUKOLENS", LOOPBACK, hospital.port]
    assert run(*command, env=dcmtk, check=False).returncode != 0


def test_the_pages_program_stores_searches_and_retrieves(hospital, tmp_path):
    path = hospital.object_file(tmp_path)
    done = run(sys.executable, "-c", block("python"), hospital.url, hospital.key, path)
    sent = pydicom.dcmread(path)
    assert done.stdout.split() == [sent.SOPInstanceUID, str(sent.Rows), str(sent.Columns)]


def test_dicomweb_client_reads_everything_there_is(hospital, archive, tmp_path):
    sent = pydicom.dcmread(hospital.object_file(tmp_path))
    archive.store_instances([sent])
    place = (sent.StudyInstanceUID, sent.SeriesInstanceUID, sent.SOPInstanceUID)
    assert archive.retrieve_instance(*place).PixelData == sent.PixelData
    [series] = archive.search_for_series(place[0])
    assert series["00201209"]["Value"] == [1]
    metadata = pydicom.Dataset.from_json(archive.retrieve_instance_metadata(*place))
    assert metadata.PatientID == "N-1"
    body = (tmp_path / "smear.jpg").read_bytes()
    [frame] = archive.retrieve_instance_frames(*place, [1], media_types=("image/jpeg",))
    assert frame == body
    assert archive.retrieve_instance_rendered(*place, media_types=("image/jpeg",)) == body
    shown = archive.retrieve_instance_rendered(*place, media_types=("image/png",))
    assert shown.startswith(b"\x89PNG")
    assert len(archive.retrieve_series(*place[:2])) == 1


def test_sigterm_ends_the_door_and_a_second_start_finds_the_port_free(tmp_path):
    hospital = Hospital(tmp_path)
    for _ in range(2):
        with hospital.door() as door:
            wait_until(hospital.listens, "a DICOM door")
            door.send_signal(signal.SIGTERM)
            assert door.wait(timeout=30) == 0
        (tmp_path / "dicom.log").unlink()


def test_the_stack_starts_the_door_where_it_is_told_to(hospital, tmp_path, settings):
    settings.DICOM_IN_STACK = True
    names = {child.name for child in _children(tmp_path, LOOPBACK, 1, None, "redis://")}
    assert "dicom" in names
    told = {**hospital.told, "DICOM_PORT": str(free_port())}
    door = processes.dicom(told, tmp_path, tmp_path)
    door.start()
    wait_until(door.notice_readiness, "a DICOM door")
    door.ask_to_stop()
    assert door.process.wait(timeout=30) == 0


def test_a_port_that_is_taken_is_said_in_a_sentence(hospital):
    done = run(sys.executable, "manage.py", "dicom", cwd=ROOT, env=hospital.told, check=False)
    assert done.returncode == 1
    assert "DICOM cannot be served" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_log_holds_no_names(hospital):
    said = (hospital.var / "dicom.log").read_text() + (hospital.var / "web.log").read_text()
    for word in ("Rahman", "T-00", "N-1"):
        assert word not in said
