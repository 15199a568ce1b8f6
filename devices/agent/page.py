"""The agent's own page, for the screen beside the microscope: read only, and only on this machine.

Plain HTML that fetches itself again every ten seconds; it needs no script and sends nothing out.
"""

import base64
import hashlib
import logging
from collections.abc import Callable, Iterable
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from .queue import Item
from .standing import Standing, remark_on

log = logging.getLogger(__name__)

PORT = 8731
STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.4rem; margin: .5rem 0; }
h2 { font-size: 1.1rem; margin: 1.5rem 0 .5rem; }
.word { display: inline-block; padding: .1rem .7rem; border-radius: 1rem; font-weight: 600;
  color: #fff; background: #9a3412; }
.word.well { background: #166534; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.2rem; }
dt { opacity: .7; }
dd { margin: 0; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; vertical-align: top;
  border-bottom: 1px solid #8884; }
td:first-child { white-space: nowrap; }
code { font-size: .9em; }
@media (max-width: 40rem) {
  thead { position: absolute; clip-path: inset(50%); }
  tr { display: flex; flex-wrap: wrap; gap: 0 1rem; padding: .4rem 0;
    border-bottom: 1px solid #8884; }
  td { border: 0; padding: 0; }
  td.remark { flex-basis: 100%; }
}
"""
_STYLE_DIGEST = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_DIGEST}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})


def page_of(standing: Standing) -> str:
    """The page as HTML."""
    well = " well" if standing.word == "working" else ""
    facts = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in standing.facts.items()
    )
    matter = f"<p>{escape(standing.matter)}</p>" if standing.matter else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="refresh" content="10"><title>Leukolens agent</title>'
        f"<style>{STYLE}</style></head><body><main><h1>Leukolens agent "
        f'<span class="word{well}">{escape(standing.word)}</span></h1>{matter}<dl>{facts}</dl>'
        f"{_table('Waiting to be sent', standing.waiting)}"
        f"{_table('Dead letters', standing.refused)}</main></body></html>"
    )


def _table(title: str, items: Iterable[Item]) -> str:
    rows = "".join(
        f"<tr><td>{escape(item.accession or 'not known')}</td>"
        f"<td><code>{str(item.id)[:8]}</code></td><td>{_tries(item)}</td>"
        f'<td class="remark">{escape(remark_on(item))}</td></tr>'
        for item in items
    )
    if not rows:
        return ""
    return (
        f'<h2>{title}</h2><table><thead><tr><th scope="col">Accession</th>'
        '<th scope="col">Picture</th><th scope="col">Tried</th><th scope="col">Remark</th>'
        f"</tr></thead><tbody>{rows}</tbody></table>"
    )


def _tries(item: Item) -> str:
    return {0: "not yet", 1: "once"}.get(item.attempts, f"{item.attempts} times")


class Page:
    """The page on 127.0.0.1, served by a thread of its own."""

    def __init__(self, look: Callable[[], Standing], *, port: int = PORT) -> None:
        """
        Args:
            port: 0 for any that is free.

        Raises:
            OSError: the port is taken.
        """
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler(look))
        self._server.daemon_threads = True
        Thread(target=self._server.serve_forever, name="page", daemon=True).start()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/"

    def close(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()


def _handler(look: Callable[[], Standing]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        server_version, sys_version = "leukolens-agent", ""
        timeout = 10

        def do_GET(self) -> None:
            """The page; nothing else is here."""
            # A name that somebody has pointed at this machine is not ours (DNS rebinding).
            if self.headers.get("Host", "").rpartition(":")[0] not in _NAMES:
                self._answer(421, "Ask for 127.0.0.1.")
            elif self.path != "/":
                self._answer(404, "There is nothing here but the status page: /")
            else:
                self._answer(200, page_of(look()))

        do_HEAD = do_GET

        def _answer(self, status: int, text: str) -> None:
            body = text.encode()
            self.send_response(status)
            for name, value in HEADERS.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet: it is asked every ten seconds."""

    return Handler
