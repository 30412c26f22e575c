"""``albert-zh serve``: binds, loads, answers, and stops when asked to."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import signal
import socket
import threading
import time

from albert_zh.files import InputError
from albert_zh.server.app import require_packages
from albert_zh.server.options import ServeOptions


def run(options: ServeOptions) -> None:
    """Serves until SIGTERM or Ctrl-C, then answers what is in hand and returns.

    Raises:
        InputError: a package is missing, the port cannot be had, or a model cannot be opened.
    """
    require_packages()
    import uvicorn

    from albert_zh.server.routes import application
    from albert_zh.server.service import Service

    service = Service(options.limits)
    listening = _listen(options.host, options.port)
    config = uvicorn.Config(
        application(service),
        log_level="warning",
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=options.stop_s,
    )

    class Server(uvicorn.Server):
        def handle_exit(self, number: int, frame: object) -> None:
            service.stop()
            super().handle_exit(number, frame)

    server = Server(config)
    failed: list[BaseException] = []

    def load() -> None:
        try:
            service.load(options.models)
        except BaseException as error:
            failed.append(error)
            server.should_exit = True
            return
        if service.state == "ready":
            _tell_ready(service)

    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    print(f"http://{shown}:{port}  loading {', '.join(options.models)}", flush=True)
    if not ipaddress.ip_address(host).is_loopback:
        print("note: whoever reaches this address may ask; there is no password", flush=True)
    loading = threading.Thread(target=load, name="loading", daemon=True)
    loading.start()
    with _signals_survived():
        server.run([listening])
    until = time.monotonic() + options.stop_s
    finished = service.close(options.stop_s)
    loading.join(max(0.0, until - time.monotonic()))
    if failed:
        raise failed[0]
    if not finished or loading.is_alive():
        print(f"stopped; what was not done within {options.stop_s:g} seconds was given up", flush=True)
        os._exit(0)  # a thread still computes: the interpreter would wait for it, or crash under it
    print("stopped", flush=True)


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        InputError: the port is taken, not allowed, or the address is not this machine's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (socket.gaierror, UnicodeError) as error:
        raise InputError(f"--host={host}: no address of this name. Use 127.0.0.1, or 0.0.0.0 for all.") from error
    listening = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(512)
    except OSError as error:
        listening.close()
        reason = (error.strerror or str(error)).lower()
        raise InputError(
            f"--host={host} --port={port}: cannot be listened on: {reason}. Choose another --port, or 0 for any."
        ) from error
    return listening


@contextlib.contextmanager
def _signals_survived():
    """The web server raises the signal that ended it once more when it is done; here that is the end of it."""
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, lambda *_: None) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _tell_ready(service: object) -> None:
    for served in service.models.values():
        task = served.opened.task.name if served.opened.task else "pretrained"
        print(f"  {served.name} ({task}): {', '.join(served.abilities)}", flush=True)
    print("ready: / is a page to try them, /docs describes the API, /health and /metrics watch it", flush=True)
