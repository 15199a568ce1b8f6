"""Inside the product's processes: every named step of an image's way, and what happens there."""

import asyncio
import functools
import hashlib
import importlib
import os
import resource
import signal
from collections.abc import Callable
from typing import Any

from django.apps import AppConfig

from tests.drills.faults.orders import KIND, of_this_process
from tests.drills.faults.steps import FREEZING, IN_HAND, STEPS, Step

_orders = of_this_process()


class Inside(AppConfig):
    """Wraps the steps of this process's kind once everything is loaded."""

    name = "tests.drills.faults"
    label = "gremlin"

    def ready(self) -> None:
        """Put the wrappers on."""
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        kind = os.environ[KIND]
        for name, step in STEPS.items():
            if step.kind == kind:
                _wrap(step.where, functools.partial(_struck_at, name, step))
        if kind == "worker":
            _wrap(FREEZING.where, functools.partial(_struck_at, IN_HAND, FREEZING))
            _wrap("diagnostics.pipeline:open_picture", _poisoned)
            _wrap(
                "ml.reading:load",
                lambda load: importlib.import_module(f"{self.name}.reader").lightly(load),
            )


def _wrap(where: str, wrapper: Callable[[Any], Any]) -> None:
    module, _, path = where.partition(":")
    owner = importlib.import_module(module)
    *inner, name = path.split(".")
    for one in inner:
        owner = getattr(owner, one)
    setattr(owner, name, wrapper(getattr(owner, name)))


def _struck_at(name: str, step: Step, function: Any) -> Any:
    """`function`, at whose end (or beginning) this process may meet its own."""

    def look(result: Any) -> Any:
        if step.found and not result:
            return result
        match _orders.strike(name):
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "freeze":
                os.kill(os.getpid(), signal.SIGSTOP)
        return result

    if asyncio.iscoroutinefunction(function):

        @functools.wraps(function)
        async def later(*args: Any, **named: Any) -> Any:
            return look(await function(*args, **named))

        return later

    @functools.wraps(function)
    def wrapped(*args: Any, **named: Any) -> Any:
        if step.before:
            look(True)
            return function(*args, **named)
        return look(function(*args, **named))

    return wrapped


def _poisoned(open_picture: Any) -> Any:
    """A decoder that falls over on certain pictures, and its whole process with it."""

    @functools.wraps(open_picture)
    def opened(body: bytes) -> Any:
        digest = hashlib.sha256(body).hexdigest()
        if digest in _orders.told("poison").split():
            _orders.say(f"died-of-{digest}-{os.getpid()}", "")
            os.abort()
        return open_picture(body)

    return opened
