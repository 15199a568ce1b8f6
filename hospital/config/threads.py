"""HTTP served by a few lasting threads, each with a lasting connection to the database.

Django's own ASGI handler gives every request a new thread, and with it a new connection to the
database, and every middleware a journey there and back. All views here are synchronous, so a
request is better served from the first middleware to the last in one thread that stays.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Any

from django.core import signals
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.core.handlers.base import BaseHandler
from django.core.handlers.exception import convert_exception_to_response
from django.http.response import HttpResponseBase
from django.urls import set_script_prefix
from django.utils.module_loading import import_string

Scope = dict[str, Any]


class ThreadedHandler(ASGIHandler):
    """An ASGI application for HTTP.

    Args:
        pool: the threads.
        most: of them at once, at most; the others are left to whoever else uses the pool.
        middleware: in place of the setting MIDDLEWARE; none with a hook of its own for views.
    """

    def __init__(
        self, pool: Executor, *, most: int, middleware: Sequence[str] | None = None
    ) -> None:
        BaseHandler.__init__(self)
        self.load_middleware(is_async=False)
        if middleware is not None:
            self._view_middleware: list[Any] = []
            self._exception_middleware: list[Any] = []
            chain = convert_exception_to_response(self._get_response)  # type: ignore[attr-defined]
            for path in reversed(middleware):
                chain = convert_exception_to_response(import_string(path)(chain))
            self._middleware_chain = chain
        self._pool = pool
        self._turns = asyncio.Semaphore(most)

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Read the whole request, serve it in a thread, send the whole answer.

        Slow senders and slow readers hold no thread; a sender that leaves early is not answered.
        """
        loop = asyncio.get_running_loop()
        try:
            body = await self.read_body(receive)
        except RequestAborted:
            return
        async with self._turns:
            response, content = await loop.run_in_executor(self._pool, self._serve, scope, body)
        headers = [(k.encode("ascii"), v.encode("latin1")) for k, v in response.items()]
        headers += [
            (b"Set-Cookie", cookie.output(header="").encode("ascii").strip())
            for cookie in response.cookies.values()
        ]
        start = {"type": "http.response.start", "status": response.status_code, "headers": headers}
        await send(start)
        await send({"type": "http.response.body", "body": content})

    def _serve(self, scope: Scope, body: Any) -> tuple[HttpResponseBase, bytes]:
        """The answer and its content; in the end the request's connections are tidied up."""
        set_script_prefix(get_script_prefix(scope))
        signals.request_started.send(sender=self.__class__, scope=scope)
        request, refusal = self.create_request(scope, body)
        response = self.get_response(request) if request is not None else refusal
        assert response is not None
        try:
            # What streams are WhiteNoise's files: small, and kept by browsers for good.
            return response, b"".join(response)
        finally:
            response.close()
            body.close()
