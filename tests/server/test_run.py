import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import pytest

pytest.importorskip("uvicorn", reason="the server's packages: pip install -e '.[serve]'")

from albert_zh.files import InputError
from albert_zh.server import run
from albert_zh.server.options import ServeOptions

PAIR = json.dumps({"pairs": [["天地人和", "上下左右"]]}).encode()


#: A server whose model never comes back from anything but its trial; no TensorFlow.
HANGING = """
import time, types
from albert_zh.server import run, service
from albert_zh.server.options import ServeOptions

def compute(rows, options):
    if rows != [("天", "地")]:
        time.sleep(600)
    return [{"probability": 1.0}]

def load(self, models):
    task = types.SimpleNamespace(name="task", kind="pair", labels=("0", "1"))
    opened = types.SimpleNamespace(task=task, label_names=(), max_seq_length=8)
    self.add("model", opened, {"similarity": compute})
    self.state = "ready"

service.Service.load = load
run.run(ServeOptions(("model",), port=0, stop_s=0.5))
"""


class Server:
    """A server process: its port, once it is ready."""

    def __init__(self, *command):
        self.process = subprocess.Popen(
            [sys.executable, *map(str, command)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines = []
        for line in self.process.stdout:
            self.lines.append(line)
            if line.startswith("ready"):
                break
        assert self.lines, self.process.communicate()
        self.port = int(re.match(r"http://127\.0\.0\.1:(\d+) ", self.lines[0])[1])

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), 30)

    def ask(self, path, body=None):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", body)
        request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def stop(self, number=signal.SIGTERM):
        """(exit status, standard output, standard error)"""
        self.process.send_signal(number)
        out, error = self.process.communicate(timeout=60)
        return self.process.returncode, "".join(self.lines) + out, error


@pytest.fixture
def serve(finetuned):
    servers = []

    def serve(*words):
        servers.append(Server("-m", "albert_zh", "serve", finetuned, "--port=0", *words))
        return servers[-1]

    yield serve
    for server in servers:
        if server.process.poll() is None:
            server.process.kill()
            server.process.communicate()


def received(connection):
    """All that comes until the other side closes."""
    connection.settimeout(30)
    parts = []
    while part := connection.recv(1 << 16):
        parts.append(part)
    return b"".join(parts).decode()


def test_a_server_survives_slow_broken_and_oversized_requests_and_ends_with_0(serve):
    server = serve("--timeout_s=1", "--max_body_bytes=1000")
    assert "similarity, classify, encode" in server.lines[1]
    status, told = server.ask("/v1/similarity", PAIR)
    assert status == 200
    head = "POST /v1/similarity HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n"
    with server.connect() as slow, server.connect() as large, server.connect() as chunked, server.connect() as gone:
        slow.sendall(f"{head}Content-Length: 100\r\n\r\n{{".encode())
        large.sendall(f"{head}Content-Length: 999999999999\r\n\r\n".encode())
        chunked.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + b"200\r\n" + b" " * 512 + b"\r\n")
        chunked.sendall(b"200\r\n" + b" " * 512 + b"\r\n")
        gone.sendall(f"{head}Content-Length: {len(PAIR)}\r\n\r\n".encode() + PAIR[:10])
        gone.close()
        assert received(large).startswith("HTTP/1.1 413")
        assert received(chunked).startswith("HTTP/1.1 413")
        answer = received(slow)
        assert answer.startswith("HTTP/1.1 408")
        assert json.loads(answer.split("\r\n\r\n")[1])["error"]["message"] == (
            "The request did not arrive within 1 seconds."
        )
    with server.connect() as noise:
        noise.sendall(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
        assert received(noise).startswith("HTTP/1.1 400")
    assert server.ask("/v1/similarity", PAIR)[1]["answers"] == told["answers"]
    status, out, error = server.stop()
    assert (status, out.splitlines()[-1]) == (0, "stopped")
    assert "Traceback" not in error


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_ctrl_c_lets_what_is_in_flight_finish_and_takes_nothing_new(serve):
    server = serve("--stop_s=20")
    head = f"POST /v1/similarity HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(PAIR)}"
    with server.connect() as connection:
        connection.sendall(f"{head}\r\n\r\n".encode() + PAIR[:-1])
        while server.ask("/metrics2")[0] != 404:  # the server has read what came before this
            pass
        ended = []
        stopping = threading.Thread(target=lambda: ended.append(server.stop(signal.SIGINT)))
        stopping.start()
        until = time.monotonic() + 20
        refused = False
        while not refused and time.monotonic() < until:
            try:
                server.connect().close()
                time.sleep(0.02)
            except ConnectionError:
                refused = True
        assert refused
        connection.sendall(PAIR[-1:])
        answer = received(connection)
        stopping.join(30)
    assert answer.startswith("HTTP/1.1 200"), answer
    assert ended[0][0] == 0


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_a_model_that_hangs_keeps_no_server_from_ending():
    server = Server("-c", HANGING)
    with server.connect() as connection:
        head = (
            f"POST /v1/similarity HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(PAIR)}"
        )
        connection.sendall(f"{head}\r\n\r\n".encode() + PAIR)
        assert server.ask("/health") == (200, {"status": "ready"})
        status, out, _ = server.stop()
    assert status == 0
    assert out.splitlines()[-1] == "stopped; what was not done within 0.5 seconds was given up"


def test_a_port_in_use_is_a_clear_error_and_nothing_is_loaded(finetuned):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(
            InputError, match=rf"--port={port}: cannot be listened on: address already in use.*0 for any"
        ):
            run.run(ServeOptions((str(finetuned),), port=port))


def test_an_address_that_is_not_this_machine_s_is_a_clear_error():
    with pytest.raises(InputError, match="cannot be listened on"):
        run.run(ServeOptions(("model",), host="192.0.2.1", port=0))


def test_a_folder_that_is_no_model_ends_the_server_with_its_error(tmp_path):
    with pytest.raises(InputError, match=str(tmp_path)):
        run.run(ServeOptions((str(tmp_path),), port=0))
