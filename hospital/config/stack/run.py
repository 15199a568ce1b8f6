"""Puts the stack together and runs it."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from django.conf import settings

from hospital.config.stack import prepare, processes
from hospital.config.stack.broker import Broker
from hospital.config.stack.child import Child
from hospital.config.stack.ports import LOOPBACK, free_port
from hospital.config.stack.record import only_stack, shown, write_note
from hospital.config.stack.supervisor import Supervisor

Say = Callable[[str], None]


def run_stack(var: Path, *, host: str, port: int, redis_url: str | None, say: Say) -> None:
    """Run every process of the product in folder `var` until told to stop.

    Args:
        port: the web's, if it is free, else any free one.
        redis_url: a broker that runs already; None brings the embedded one.

    Raises:
        AlreadyRunning: another stack runs in `var`.
        NoBroker: the embedded broker does not exist for this machine.
    """
    with only_stack(var):
        began = time.monotonic()
        prepare.migrate()
        if prepare.collect_static():
            say("static files collected")
        web_port = free_port(port)
        url = f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{web_port}"  # noqa: S104
        server = None if redis_url else Broker(var / "broker")
        broker_url = redis_url or (server.url if server else "")
        children = _children(var, host, web_port, server, broker_url)

        def note(supervisor: Supervisor) -> None:
            write_note(var, _note(supervisor, var, url, broker_url))

        say(f"starting at {url}; logs in {shown(var / 'logs')}")
        supervisor = Supervisor(children, say=say, changed=note)
        supervisor.run()
        say(f"was up for {time.monotonic() - began:.0f} s")


def _children(
    var: Path, host: str, web_port: int, server: Broker | None, broker_url: str
) -> list[Child]:
    logs, run = var / "logs", var / "run"
    # What processes of an earlier run counted is over.
    shutil.rmtree(processes.counts(var), ignore_errors=True)
    told = processes.environment(var, redis_url=broker_url)
    told.setdefault("PROBE_URL", f"http://{LOOPBACK}:{web_port}")
    children = [
        *(
            processes.web(web_port, told, logs, run, host=host, number=number)
            for number in range(1, settings.WEB_WORKERS + 1)
        ),
        processes.worker("analyses", told, logs, run),
        processes.worker("housekeeping", told, logs, run),
        processes.beat(told, logs),
        *([processes.dicom(told, logs, run)] if settings.DICOM_IN_STACK else []),
    ]
    if server is None:
        return children
    broker = processes.broker(server, told, logs)
    for child in children:
        child.after = broker
    return [broker, *children]


def _note(supervisor: Supervisor, var: Path, url: str, broker_url: str) -> dict[str, object]:
    return {
        "pid": os.getpid(),
        "url": url,
        "broker_url": broker_url,
        "var": str(var.resolve()),
        "logs": str((var / "logs").resolve()),
        "ready": supervisor.ready,
        "processes": {
            child.name: {
                "pid": child.pid,
                "standing": child.standing,
                "restarts": child.restarts,
            }
            for child in supervisor.children
        },
    }
