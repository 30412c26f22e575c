"""Around the application: reads a body up to its limit, bounds what is in hand, counts, adds headers."""

from __future__ import annotations

import asyncio
import json
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from albert_zh.server.limits import Refused, busy
from albert_zh.server.service import Service

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

#: A page may load only what this server itself serves, and no other page may frame it.
PAGE_POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
#: The OpenAPI page starts with a script of its own inside it, and holds images as data.
DOCS_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "frame-ancestors 'none'"
)


def problem(refused: Refused) -> bytes:
    """The body of a refusal."""
    return json.dumps({"error": {"message": refused.message, "field": refused.field}}).encode()


def failure() -> Refused:
    """A 500, which tells nothing of the program."""
    return Refused(500, "The server failed at this request; its log says why.")


class Guard:
    """An ASGI application around another one.

    The body is read before the application is called: at most ``limits.body_bytes`` of it, within ``limits.timeout_s``
    seconds. What the application raises becomes a 500 that says nothing, and a traceback on standard error.

    Args:
        paths: those that are counted by name; the others are counted as "other".
        computed: those of them that ask a model.
        docs: the path of the OpenAPI page.
    """

    def __init__(
        self,
        app: Callable[..., Awaitable[None]],
        service: Service,
        paths: frozenset[str],
        computed: frozenset[str],
        docs: str,
    ):
        self._app, self._service, self._paths, self._computed, self._docs = app, service, paths, computed, docs
        self._in_hand = 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        started, path = time.monotonic(), scope["path"]
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                policy = DOCS_POLICY if path == self._docs else PAGE_POLICY
                message = {**message, "headers": [*message.get("headers", ()), *_headers(policy)]}
            await send(message)

        self._in_hand += 1
        try:
            if path in self._computed:
                self._service.check_ready()  # before the body is there: what has begun is finished
                if self._in_hand > self._service.limits.requests:
                    raise busy(f"{self._service.limits.requests} requests are in hand. Ask again later.")
            body = await self._body(scope, receive)
            if body is not None:
                scope["state"] = {**scope.get("state", {}), "started": started}
                await self._app(scope, _again(body, receive), answer)
        except Refused as refused:
            await _refuse(refused, answer)
        except Exception:
            traceback.print_exc(file=sys.stderr)
            if not status:
                await _refuse(failure(), answer)
        finally:
            self._in_hand -= 1
            if status:
                known = path if path in self._paths else "other"
                self._service.metrics.request(known, status, time.monotonic() - started)

    async def _body(self, scope: Message, receive: Receive) -> bytes | None:
        """The whole body; None: the client has left.

        Raises:
            Refused: 413 too large, 408 too slow.
        """
        limits = self._service.limits
        too_large = Refused(
            413,
            f"The body is larger than {limits.body_bytes:,} bytes. Send less at once.",
            headers={"Connection": "close"},
        )
        for name, value in scope["headers"]:
            if name == b"content-length" and value.isdigit() and (len(value) > 18 or int(value) > limits.body_bytes):
                raise too_large
        parts, size = [], 0
        try:
            async with asyncio.timeout(limits.timeout_s):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return None
                    part = message.get("body", b"")
                    size += len(part)
                    if size > limits.body_bytes:
                        raise too_large
                    parts.append(part)
                    if not message.get("more_body"):
                        return b"".join(parts)
        except TimeoutError:
            raise Refused(
                408, f"The request did not arrive within {limits.timeout_s:g} seconds.", headers={"Connection": "close"}
            ) from None


def _headers(policy: str) -> list[tuple[bytes, bytes]]:
    return [
        (b"content-security-policy", policy.encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
    ]


def _again(body: bytes, receive: Receive) -> Receive:
    """A ``receive`` that gives a body read before, then what comes after it."""
    given = False

    async def once() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return once


async def _refuse(refused: Refused, send: Send) -> None:
    body = problem(refused)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(name.lower().encode(), value.encode()) for name, value in refused.headers.items()]
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
