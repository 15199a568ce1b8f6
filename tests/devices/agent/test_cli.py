"""The command line and the page: what a person at the bench sees and can do."""

import http.client
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from unittest.mock import ANY

import pytest
from typer.testing import CliRunner

from devices.agent.cli import app
from devices.agent.home import Credentials, Home
from devices.agent.page import Page, page_of
from devices.agent.queue import Queue, State
from devices.agent.standing import standing_of
from diagnostics.models import FieldImage
from tests.world import SETUP, jpeg

NUMBER = "N-2026-0001"


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home")


@pytest.fixture
def enrolled(home):
    home.save(Credentials("http://hospital.test", "llk_key", device_name="Bench 3", clinic="North"))
    return home


@pytest.fixture
def command(home):
    """Runs a command on that home; gives its exit code and what it said."""

    def run(*words):
        # A wide terminal, so that nothing is broken into lines.
        told = {"COLUMNS": "200", "LEUKOLENS_AGENT_HOME": str(home.folder)}
        result = CliRunner().invoke(app, [str(word) for word in words], env=told)
        assert result.exception is None or isinstance(result.exception, SystemExit), result
        return result.exit_code, result.output

    return run


@pytest.fixture
def desk():
    """A hospital that enrols whoever brings the right code."""

    class Desk(BaseHTTPRequestHandler):
        asked = []

        def do_POST(self):
            said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.asked.append((self.path, said, self.headers.get("Authorization")))
            right = said["code"] == "K7QM-4T9X-2HWD"
            device = {"id": "7", "name": "Bench 3", "clinic": "North Clinic"}
            answer = (
                {"key": "llk_a_b", "device": device, "server_time": "", "interval_seconds": 30}
                if right
                else {"code": "code_refused", "detail": "This code is not valid."}
            )
            body = json.dumps(answer).encode()
            self.send_response(201 if right else 403)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Desk)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    server.asked = Desk.asked
    yield server
    server.shutdown()
    server.server_close()


def dead_letter(home, **what):
    queue = Queue(home.queue_folder)
    told = {"accession": NUMBER, "code": "corrupt", "detail": "Take it again."}
    return queue, queue.put(jpeg(1), **told | what)


def test_a_code_becomes_a_key(command, home, desk):
    code, said = command("enrol", "K7QM-4T9X-2HWD", "--server", desk.url, "--serial", "W1-42")

    assert (code, home.credentials().key) == (0, "llk_a_b")
    assert "Bench 3 of North Clinic" in said
    assert "llk_a_b" not in said
    [(path, told, authorization)] = desk.asked
    assert (path, told["serial"], authorization) == ("/api/device/v1/enrol", "W1-42", None)


def test_a_code_may_be_typed_with_blanks(command, desk):
    assert command("enrol", "K7QM", "4T9X", "2HWD", "--server", desk.url)[0] == 0
    assert desk.asked[0][1]["code"] == "K7QM-4T9X-2HWD"


def test_the_qr_codes_text_is_enough(command, home, desk):
    text = f"leukolens-enrol:?server={desk.url}&code=K7QM-4T9X-2HWD&serial=W1-42"
    assert command("enrol", text)[0] == 0
    assert home.credentials().server == desk.url


def test_a_wrong_code_says_so_and_keeps_the_key_that_was(command, enrolled, desk):
    enrolled.save(Credentials(desk.url, "llk_key"))
    code, said = command("enrol", "WRONG", "--server", desk.url)
    assert (code, enrolled.credentials().key) == (1, "llk_key")
    assert "This code is not valid." in said


def test_pictures_of_one_hospital_are_never_sent_to_another(command, enrolled, desk):
    dead_letter(enrolled)
    code, said = command("enrol", "K7QM-4T9X-2HWD", "--server", desk.url)
    assert code == 1
    assert "meant for http://hospital.test" in said
    assert desk.asked == []


@pytest.mark.parametrize("server", ["", "hospital.example", "ftp://hospital.example"])
def test_it_wants_to_know_where_the_hospital_is(command, server):
    code, said = command("enrol", "K7QM-4T9X-2HWD", "--server", server)
    assert code == 1
    assert "--server https://" in said


def test_nothing_runs_without_a_key(command, tmp_path):
    code, said = command("run", tmp_path)
    assert code == 1
    assert "leukolens-agent enrol" in said


@pytest.mark.django_db(transaction=True)
def test_files_are_sent_and_stay(command, home, world, live_server, tmp_path):
    home.save(Credentials(live_server.url, world.key))
    files = []
    for seed in (1, 2):
        files.append(tmp_path / f"{seed}.jpg")
        files[-1].write_bytes(world.smear(seed))

    code, said = command("send", *files, "--accession", NUMBER)

    assert code == 0, said
    assert "2 of 2 are safe in the hospital." in said
    assert FieldImage.objects.filter(specimen__accession=NUMBER).count() == 2
    assert all(file.exists() for file in files)
    assert command("send", files[0], "--accession", NUMBER)[0] == 0
    assert FieldImage.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_what_was_not_taken_is_said(command, home, world, live_server, tmp_path):
    home.save(Credentials(live_server.url, world.key))
    path = tmp_path / "1.jpg"
    path.write_bytes(world.smear(1))
    code, said = command("send", path, "--accession", "S-2026-0001")
    assert code == 1
    assert "other_clinic" in said


@pytest.mark.django_db(transaction=True)
def test_a_label_that_is_not_registered_yet_keeps_nobody_waiting(
    command, home, world, live_server, tmp_path
):
    home.save(Credentials(live_server.url, world.key))
    path = tmp_path / "1.jpg"
    path.write_bytes(world.smear(1))
    code, said = command("send", path, "--accession", "N-2026-0777")
    assert code == 1
    assert "unknown_accession" in said and "What waits is sent" in said
    assert Queue(home.queue_folder).counts().waiting == 1


@pytest.mark.parametrize(
    ("name", "body", "words"),
    [("smear.jpg", b"no picture", "no JPEG"), ("N-2026-0002.jpg", jpeg(1), "N-2026-0002")],
)
def test_what_is_broken_or_of_another_specimen_is_not_stored(
    command, enrolled, tmp_path, name, body, words
):
    path = tmp_path / name
    path.write_bytes(body)
    code, said = command("send", path, "--accession", NUMBER)
    assert code == 1
    assert words in said
    assert Queue(enrolled.queue_folder).counts().waiting == 0


def test_dead_letters_are_listed_with_reason_and_place(command, enrolled):
    queue, item = dead_letter(enrolled)
    code, said = command("refused")
    assert code == 0
    for word in (str(item.id)[:8], NUMBER, "Take it again.", "corrupt", str(queue.path_of(item))):
        assert word in said


def test_a_dead_letter_goes_out_again_for_the_specimen_that_a_person_names(command, enrolled):
    queue, item = dead_letter(enrolled, accession="", code="accession_missing")
    beginning = str(item.id)[:8]

    assert command("retry", beginning)[0] == 1
    assert command("retry", beginning, "--accession", NUMBER)[0] == 0

    assert queue.get(item.id).state is State.WAITING
    assert queue.get(item.id).accession == NUMBER


def test_nothing_is_deleted_without_saying_what_it_means(command, enrolled):
    queue, item = dead_letter(enrolled)

    code, said = command("discard", item.id)
    assert code == 1
    assert "nobody could bring it back" in said
    assert queue.body(item) == jpeg(1)

    assert command("discard", item.id, "--for-good")[0] == 0
    assert queue.get(item.id).state is State.DISCARDED


def test_what_waits_cannot_be_discarded(command, enrolled):
    queue = Queue(enrolled.queue_folder)
    item = queue.put(jpeg(1), accession=NUMBER)
    code, said = command("discard", item.id, "--for-good")
    assert code == 1
    assert "No dead letter" in said
    assert queue.body(item) == jpeg(1)


@pytest.mark.parametrize("beginning", ["", "zz"])
def test_a_dead_letter_must_be_named(command, enrolled, beginning):
    dead_letter(enrolled)
    assert command("discard", beginning, "--for-good")[0] == 1


STANDINGS = [
    ({}, False, "not running"),
    ({}, True, "working"),
    ({"stopped": "The key is not valid."}, True, "stopped"),
    ({"full": "The queue holds 20 GiB."}, True, "full"),
    ({"folder_trouble": "Cannot be read."}, True, "in trouble"),
    ({"heartbeat_trouble": "No answer."}, True, "in trouble"),
]


@pytest.mark.parametrize(("notes", "running", "word"), STANDINGS)
def test_it_says_how_it_stands_and_what_to_do(command, enrolled, notes, running, word):
    queue = Queue(enrolled.queue_folder)
    queue.note(**notes)
    queue.put(jpeg(1), accession=NUMBER)
    standing = standing_of(enrolled, queue, running=running)

    assert standing.word == word
    assert all(text in standing.matter for text in notes.values())
    assert standing.facts["microscope"] == "Bench 3, North"
    assert bool(standing.matter) == (word != "working")


def test_the_status_command_shows_the_same(command, enrolled):
    Queue(enrolled.queue_folder).put(jpeg(1), accession=NUMBER)
    code, said = command("status")
    assert code == 1
    assert "not running" in said and NUMBER in said
    code, said = command("status", "--json")
    assert json.loads(said)["word"] == "not running"


def test_whoever_runs_is_seen_to_run(command, enrolled):
    with enrolled.only_one():
        assert command("status")[0] == 0


def test_before_enrolment_it_says_so(command):
    code, said = command("status")
    assert (code, "not enrolled" in said) == (1, True)


@pytest.fixture
def page(enrolled):
    queue, _ = dead_letter(enrolled, detail="<b>Take it again.</b>")
    opened = Page(lambda: standing_of(enrolled, queue, running=True), port=0)
    yield opened
    opened.close()


def ask(page, path="/", *, method="GET", host=None):
    port = int(re.search(r":(\d+)/", page.url)[1])
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    line.request(method, path, headers={"Host": host or f"127.0.0.1:{port}"})
    answer = line.getresponse()
    return answer.status, answer.headers, answer.read().decode()


def test_the_page_shows_what_waits_and_is_only_read(page):
    status, headers, text = ask(page)
    assert status == 200
    assert NUMBER in text and "Bench 3" in text
    assert "<b>" not in text and "&lt;b&gt;Take it again." in text
    assert "script" not in text
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert "llk_key" not in text
    assert ask(page, method="HEAD")[2] == ""
    assert ask(page, method="POST")[0] == 501
    assert ask(page, "/../etc/passwd")[0] == 404


def test_the_page_is_for_this_machine_only(page):
    assert page.url.startswith("http://127.0.0.1:")
    assert ask(page, host="evil.example:8731")[0] == 421


def test_an_empty_page_is_whole(enrolled):
    text = page_of(standing_of(enrolled, Queue(enrolled.queue_folder), running=True))
    assert text.startswith("<!doctype html>")
    assert "<table>" not in text


@pytest.mark.django_db(transaction=True)
def test_from_the_printed_code_to_a_delivered_picture(command, home, world, live_server, tmp_path):
    enrolment = pytest.importorskip("devices.services.enrolment")
    code = enrolment.make_code(actor=SETUP, device=world.device).code
    uri = enrolment.uri(code=code, server=live_server.url, serial=world.device.serial)
    path = tmp_path / "smear.jpg"
    path.write_bytes(world.smear(1))

    assert command("enrol", uri) == (0, ANY)
    assert command("send", path, "--accession", NUMBER) == (0, ANY)

    assert FieldImage.objects.get().device == world.device
    status, said = command("enrol", code, "--server", live_server.url)
    assert (status, "not valid" in said) == (1, True)
