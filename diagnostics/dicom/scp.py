"""The DIMSE door: C-ECHO and C-STORE for microscopes, by pynetdicom.

DIMSE has no keys. Who may speak is told by the calling AE title, which is a microscope's name and
no secret, and where the hospital has set up TLS by the client's certificate.
"""

import hashlib
import hmac
import logging
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import BaseServer
from typing import Any

from django.conf import settings
from django.db import DatabaseError, close_old_connections, connections
from pydicom.dataset import Dataset
from pynetdicom import AE, _config, evt
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]
from pynetdicom.transport import ThreadedAssociationServer

from devices.models import Device, DeviceState
from devices.services.keys import ensure_active
from diagnostics.dicom.objects import SOP_CLASSES, TRANSFER_SYNTAXES
from diagnostics.dicom.refusals import (
    CANNOT_UNDERSTAND,
    SUCCESS,
    TRY_AGAIN,
    ObjectRefused,
    comment_of,
    status_of,
)
from diagnostics.services import dicom
from hospital.base.problems import Forbidden, Refusal

log = logging.getLogger(__name__)

# Its own handlers log what is sent; nothing that is sent here is for a log.
_config.LOG_HANDLER_LEVEL = "none"
logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)

# An association request with its contexts, or a command, is far smaller.
MOST_CONTROL_BYTES = 128 * 1024
# A sender waits for the answer to each object; who does not would fill the memory.
MOST_WAITING = 2


class Unknown(Forbidden):
    """No microscope in service bears the calling AE title, or its certificate is another's."""

    code = "dicom_unknown_sender"


class StorageProvider:
    """The running SCP: `with StorageProvider() as scp: ...` serves until the block ends.

    Args:
        host, port: where to listen; port 0 is any free one.
        tls: the server's side of TLS; None: plain DIMSE.
        patience: seconds that associations are given in the end before they are aborted.
    """

    def __init__(
        self, host: str, port: int, *, tls: ssl.SSLContext | None = None, patience: float = 0
    ) -> None:
        self._patience = patience
        self._ae = _Entity(settings.DICOM_AE_TITLE)
        for sop_class in SOP_CLASSES:
            self._ae.add_supported_context(sop_class, list(TRANSFER_SYNTAXES))
        self._ae.add_supported_context(Verification)
        self._ae.require_called_aet = True
        self._ae.maximum_associations = settings.DICOM_MAX_ASSOCIATIONS
        self._ae.maximum_pdu_size = settings.DICOM_MAX_PDU
        self._ae.network_timeout = settings.DICOM_TIMEOUT_SECONDS
        self._ae.acse_timeout = settings.DICOM_TIMEOUT_SECONDS
        self._ae.dimse_timeout = settings.DICOM_TIMEOUT_SECONDS
        self._server: _Server = self._ae.make_server(  # type: ignore[assignment]
            (host, port),
            ssl_context=tls,
            evt_handlers=[
                (evt.EVT_CONN_OPEN, _opened),
                (evt.EVT_PDU_RECV, _within_bounds),
                (evt.EVT_C_ECHO, lambda event: SUCCESS),
                (evt.EVT_C_STORE, _store),
            ],
            server_class=_Server,
        )
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def __enter__(self) -> "StorageProvider":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take no new associations, let those there are end, abort those that do not."""
        self._server.shutdown()
        until = time.monotonic() + self._patience
        while self._ae.active_associations and time.monotonic() < until:
            time.sleep(0.1)
        # What is aborted was not answered, so the sender keeps it and sends it again.
        for association in self._ae.active_associations:
            association.abort()


class _Entity(AE):
    """An application entity whose acquaintances are the hospital's microscopes, as of now."""

    @property
    def require_calling_aet(self) -> list[str]:
        """The AE titles of active microscopes, asked for with each association."""
        # Never empty, which pynetdicom would take for 'anybody'; longer than a title can be.
        nobody = "no microscope at all"
        try:
            with _database():
                known = Device.objects.filter(state=DeviceState.ACTIVE).exclude(ae_title="")
                return [nobody, *known.values_list("ae_title", flat=True)]
        except DatabaseError as error:
            log.error("the database does not answer: %s", type(error).__name__)
            return [nobody]

    @require_calling_aet.setter
    def require_calling_aet(self, titles: list[str]) -> None:
        """Set by pynetdicom's own constructor; the registry decides."""


class _Server(ThreadedAssociationServer):
    """pynetdicom's, whose door no slow or silent client can block."""

    daemon_threads = True

    def get_request(self) -> tuple[socket.socket, Any]:
        """A connection; what takes time (TLS) is left to its own thread."""
        assert self.socket is not None
        connection, address = self.socket.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(settings.DICOM_TIMEOUT_SECONDS)
        if self.ssl_context:
            connection = self.ssl_context.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        return connection, address

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Not more connections than twice the associations: who is above is told by DICOM."""
        most: int = 2 * settings.DICOM_MAX_ASSOCIATIONS
        return len(self.active_associations) < most

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Shake hands, then leave the connection to its association."""
        try:
            if isinstance(request, ssl.SSLSocket):
                request.do_handshake()
            self.finish_request(request, client_address)
        except Exception as error:
            log.warning("a DICOM connection failed at its start: %s", type(error).__name__)
            self.shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing of what was sent goes to a log."""
        log.error("a DICOM connection failed", exc_info=False)

    def shutdown(self) -> None:
        """Stop accepting. Not pynetdicom's, which also takes it off a list it is not on."""
        BaseServer.shutdown(self)
        self.server_close()


def _opened(event: evt.Event) -> None:
    """Bound what one PDU may hold: pynetdicom would read four gigabytes if they were announced."""
    association: Any = event.assoc
    connection = association.dul.socket
    receive = connection.recv
    most = max(settings.DICOM_MAX_PDU + 6, MOST_CONTROL_BYTES)

    def bounded(size: int) -> bytearray:
        if size > most:
            raise OSError("a PDU larger than was agreed")
        return bytearray(receive(size))

    connection.recv = bounded
    association.received = 0


def _within_bounds(event: evt.Event) -> None:
    """Keep no more of a message than is taken at most: the handler refuses it by its length."""
    if not isinstance(event.pdu, P_DATA_TF):
        return
    association: Any = event.assoc
    if association.dimse.msg_queue.qsize() >= MOST_WAITING:
        association.dul.socket.close()
        return
    for item in event.pdu.presentation_data_value_items:
        value = item.presentation_data_value or b"\2"
        control, size = value[0], len(value) - 1
        is_command, is_last = control & 1, control & 2
        if association.received > (MOST_CONTROL_BYTES if is_command else settings.MAX_UPLOAD_BYTES):
            item.presentation_data_value = bytes([control])
        association.received = 0 if is_last else association.received + size


def _store(event: evt.Event) -> Dataset | int:
    """Answer C-STORE: success only when picture and object are safe."""
    try:
        with _database():
            device = _sender(event)
            body = event.encoded_dataset(include_meta=False)
            if len(body) > settings.MAX_UPLOAD_BYTES:
                raise ObjectRefused(
                    f"The limit is {settings.MAX_UPLOAD_BYTES} bytes. Send a smaller picture.",
                    code="too_large",
                )
            dicom.store(device=device, data=event.encoded_dataset())
    except Refusal as refusal:
        log.info("a DICOM object was refused: %s", refusal.code)
        return _answer(status_of(refusal), comment_of(refusal))
    except (DatabaseError, OSError) as error:
        log.error("a DICOM object could not be stored: %s", type(error).__name__)
        return _answer(TRY_AGAIN, "storage_unavailable: keep it and send it again")
    except Exception as error:
        # Its words may quote the object; its kind and place do not.
        log.error("a DICOM object could not be handled: %s", type(error).__name__)
        log.debug("", exc_info=True)
        return _answer(CANNOT_UNDERSTAND, "internal: keep it and tell the hospital")
    return SUCCESS


def _answer(status: int, comment: str) -> Dataset:
    answer = Dataset()
    answer.Status = status
    answer.ErrorComment = comment
    return answer


def _sender(event: evt.Event) -> Device:
    """The microscope in service that speaks here, looked up for each object.

    Raises:
        Unknown: nobody bears that AE title, or another certificate was set for it.
        DeviceNotActive: it was suspended since the association began.
    """
    association: Any = event.assoc
    title = association.requestor.ae_title.strip()
    device = Device.objects.filter(ae_title=title).first() if title else None
    if device is None or not _certified(device, association.dul.socket.socket):
        raise Unknown("No microscope in service has this AE title and certificate.")
    ensure_active(device)
    return device


def _certified(device: Device, connection: Any) -> bool:
    """Whether the connection shows the certificate that is set for the microscope, if one is."""
    if not device.certificate_sha256:
        return True
    if not isinstance(connection, ssl.SSLSocket):
        return False
    shown = hashlib.sha256(connection.getpeercert(binary_form=True) or b"").hexdigest()
    return hmac.compare_digest(shown, device.certificate_sha256.lower())


@contextmanager
def _database() -> Iterator[None]:
    """A connection for what is asked in a thread of pynetdicom's, which ends without a word."""
    close_old_connections()
    try:
        yield
    finally:
        connections.close_all()


def tls_context() -> ssl.SSLContext | None:
    """TLS as the settings say, None when they say nothing.

    With DICOM_TLS_CLIENTS (certificates of those who sign the clients') a client must show one.
    """
    if not settings.DICOM_TLS_CERTIFICATE:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(settings.DICOM_TLS_CERTIFICATE, settings.DICOM_TLS_KEY or None)
    if settings.DICOM_TLS_CLIENTS:
        context.load_verify_locations(settings.DICOM_TLS_CLIENTS)
        context.verify_mode = ssl.CERT_REQUIRED
    return context
