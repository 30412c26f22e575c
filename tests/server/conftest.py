"""Models that answer by simple rules, and a real headless Chromium, spoken to through its own DevTools pipe."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import time
from types import SimpleNamespace

import pytest

from albert_zh.server.limits import Limits

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-extensions --disable-dev-shm-usage --remote-debugging-pipe"
).split()


class Chromium:
    """One browser with one page.

    Attributes:
        requests: addresses that the page has asked for.
        complaints: what stood in the browser's console as an error, exceptions among them.
    """

    def __init__(self, program, folder):
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()
        theirs = [fcntl.fcntl(handle, fcntl.F_DUPFD_CLOEXEC, 10) for handle in (theirs_in, theirs_out)]
        os.close(theirs_in)
        os.close(theirs_out)
        null = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1, 2)]
        self._process = os.posix_spawn(
            program,
            [program, *FLAGS, f"--user-data-dir={folder}", "about:blank"],
            {**os.environ, "HOME": str(folder)},
            file_actions=[*null, *((os.POSIX_SPAWN_DUP2, handle, number) for number, handle in enumerate(theirs, 3))],
            setpgroup=0,
        )
        for handle in theirs:
            os.close(handle)
        self._in, self._out, self._rest, self._number = ours_in, ours_out, b"", 0
        self.requests, self.complaints = [], []
        self._session = None
        targets = self.send("Target.getTargets")["targetInfos"]
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        self._session = self.send("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")

    def send(self, method, **parameters):
        """One command, and what it returns."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + 60
        while True:
            answer = self._receive(until)
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]

    def _receive(self, until):
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._in], [], [], max(0, until - time.monotonic()))
            assert ready, "Chromium does not answer"
            part = os.read(self._in, 1 << 16)
            assert part, "Chromium has ended"
            self._rest += part
        line, _, self._rest = self._rest.partition(b"\0")
        message = json.loads(line)
        method, about = message.get("method"), message.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(about["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(about["exceptionDetails"].get("text", "exception"))
        elif method == "Log.entryAdded" and about["entry"]["level"] == "error":
            self.complaints.append(about["entry"]["text"])
        return message

    def run(self, script):
        """The value of an expression in the page; a promise is waited for."""
        done = self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def wait(self, script, seconds=30):
        """Until an expression is true."""
        until = time.monotonic() + seconds
        while not self.run(f"Boolean({script})"):
            assert time.monotonic() < until, f"never true: {script}"
            time.sleep(0.03)

    def open(self, address, ready):
        """Goes to an address and waits until the expression ``ready`` is true."""
        self.send("Page.navigate", url="about:blank")
        self.wait("location.href === 'about:blank'")
        self.send("Page.navigate", url=address)
        self.wait(f"location.href !== 'about:blank' && document.readyState === 'complete' && ({ready})")

    def key(self, key, **more):
        """Presses a key, to whatever has the focus."""
        code = {"Tab": 9, "Enter": 13, "ArrowRight": 39, "ArrowLeft": 37, "Home": 36, "End": 35}[key]
        for kind in ("rawKeyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **more)

    def type(self, text):
        """Types into whatever has the focus."""
        self.send("Input.insertText", text=text)

    def click(self, selector):
        """Clicks in the middle of an element."""
        x, y = self.run(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            "e.scrollIntoView({block: 'center'}); const r = e.getBoundingClientRect();"
            "return [r.x + r.width / 2, r.y + r.height / 2] })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def size(self, width, height=900):
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )

    def picture(self, path):
        """Writes what the page shows as PNG."""
        data = self.send("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        with open(path, "wb") as stream:
            stream.write(base64.b64decode(data))

    def close(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process, signal.SIGKILL)
        os.waitpid(self._process, 0)
        os.close(self._in)
        os.close(self._out)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    """The browser; a test is skipped where there is none."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None or not hasattr(os, "posix_spawn"):
        pytest.skip("no Chromium on this machine, in which the page is tested")
    browser = Chromium(program, tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


def opened(name, kind, labels=(), names=(), length=64):
    """What stands for an open model."""
    task = SimpleNamespace(name=name, kind=kind, labels=labels) if kind != "pretrained" else None
    return SimpleNamespace(task=task, label_names=names, max_seq_length=length)


def similar(rows, _):
    return [{"probability": float(first == second)} for first, second in rows]


def classified(rows, _):
    """More text, more "long"; the text "broken" is an error of the program."""
    if "broken" in rows:
        raise RuntimeError("a secret of the program")
    answers = []
    for row in rows:
        share = min(len(row), 10) / 10
        shares = [("0", "short", 1 - share), ("1", "long", share)]
        label, name, best = max(shares, key=lambda each: each[2])
        listed = [dict(zip(("label", "name", "probability"), each, strict=True)) for each in shares]
        answers.append({"label": label, "name": name, "probability": best, "probabilities": listed})
    return answers


def tagged(rows, _):
    """Every 京 is a place, a thing that follows a first character is counted in code points."""
    return [
        {
            "entities": [
                {"text": "京", "type": "LOC", "name": "地名", "start": at, "end": at + 1, "probability": 0.75}
                for at, character in enumerate(row)
                if character == "京"
            ]
        }
        for row in rows
    ]


@pytest.fixture
def fake_service():
    """``fake_service(**limits)``: a service of a pair model, a model of single texts and a tagger; no TensorFlow."""
    from albert_zh.server.service import Service

    made = []

    def make(**limits):
        service = Service(Limits(**limits))
        service.add("pairs", opened("lcqmc", "pair", ("0", "1"), ("different", "same")), {"similarity": similar})
        service.add("single", opened("lengths", "single", ("0", "1"), ("short", "long")), {"classify": classified})
        service.add("tags", opened("cluener", "tagging"), {"entities": tagged})
        service.state = "ready"
        made.append(service)
        return service

    yield make
    for service in made:
        service.close(20)
