"""Downloads against a server on this machine that behaves as badly as real ones do."""

from __future__ import annotations

import errno
import hashlib
import http.server
import io
import json
import socket
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from albert_zh.files import InputError
from albert_zh.hub import download
from albert_zh.hub.catalog import DATASETS, MODELS, Dataset, Download, Model
from albert_zh.hub.download import DownloadOptions, fetch, run


def packed(seed: int = 0) -> bytes:
    """A zip of LCQMC's file names with 200 KB that do not pack."""
    noise = b"".join(hashlib.sha512(bytes([seed, n % 256, n // 256])).digest() for n in range(3000))
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        for name in ("train", "dev", "test"):
            archive.writestr(zipfile.ZipInfo(f"lcqmc/{name}.tsv"), f"{name}\n".encode() + noise)
    return memory.getvalue()


BODY = packed()
MD5 = hashlib.md5(BODY).hexdigest()
HTML = b"<!DOCTYPE html><html><body>Please log in</body></html>"


class Server:
    """Answers each path by the next of its scripted behaviours, the last one for ever."""

    def __init__(self) -> None:
        self.script: dict[str, list[Callable[[http.server.BaseHTTPRequestHandler], None]]] = {}
        self.requests: list[tuple[str, str | None]] = []  # (path, Range header)
        self.stop_waiting = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests.append((self.path, self.headers.get("Range")))
                behaviours = outer.script.get(self.path, [status(404)])
                (behaviours.pop(0) if len(behaviours) > 1 else behaviours[0])(self)

            def log_message(self, *_: object) -> None:
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.http.server_port}"
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.stop_waiting.set()
        self.http.shutdown()
        self.http.server_close()


def status(code: int) -> Callable[[http.server.BaseHTTPRequestHandler], None]:
    return lambda handler: handler.send_error(code)


def serve(
    body: bytes = BODY,
    *,
    tag: str | None = '"v1"',
    ranges: bool = True,
    cut_after: int | None = None,
    content_type: str = "application/zip",
) -> Callable[[http.server.BaseHTTPRequestHandler], None]:
    """Sends ``body``, breaking the connection after ``cut_after`` bytes of it."""

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        start = 0
        wanted, condition = handler.headers.get("Range"), handler.headers.get("If-Range")
        if ranges and wanted and (condition is None or condition == tag):
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
        if start >= len(body):
            handler.send_response(416)
            handler.send_header("Content-Range", f"bytes */{len(body)}")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        handler.send_header("Content-Length", str(len(body) - start))
        handler.send_header("Content-Type", content_type)
        if tag:
            handler.send_header("ETag", tag)
        handler.end_headers()
        piece = body[start:] if cut_after is None else body[start : start + cut_after]
        handler.wfile.write(piece)
        handler.wfile.flush()
        handler.close_connection = True

    return answer


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    running = Server()
    yield running
    running.close()


class Waits(list):
    """Stands for time.sleep: remembers, does not wait."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


def dataset(*urls: str, name: str = "lcqmc") -> Dataset:
    return Dataset(name, (Download(urls),), (("train.tsv",), ("dev.tsv",), ("test.tsv",)), "unknown")


def leftovers(home: Path) -> list[str]:
    return [path.name for path in home.rglob("*") if path.is_file() and path.suffix != ".lock"]


def test_a_data_set_arrives_whole_and_only_once(server, tmp_path, capsys):
    server.script["/d.zip"] = [serve()]
    row = dataset(f"{server.address}/d.zip#md5={MD5}")
    folder = fetch(row, tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == ["dev.tsv", "test.tsv", "train.tsv"]
    assert folder.is_relative_to(tmp_path / "datasets" / "lcqmc")
    source = json.loads((tmp_path / "datasets" / "lcqmc" / "source.json").read_text())
    assert source["files"][0]["sha256"] == hashlib.sha256(BODY).hexdigest()
    assert "licence unknown" in capsys.readouterr().err
    assert fetch(row, tmp_path) == folder
    assert len(server.requests) == 1
    assert not [name for name in leftovers(tmp_path) if name.endswith((".zip", ".part"))]


@pytest.mark.parametrize("checksum", [f"#md5={MD5}", ""], ids=["checksum", "tag-only"])
def test_a_connection_cut_again_and_again_is_gone_on_with(server, tmp_path, checksum):
    server.script["/d.zip"] = [serve(cut_after=70_000)]
    waits = Waits()
    fetch(dataset(f"{server.address}/d.zip{checksum}"), tmp_path, waits)
    starts = [int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0 for _, wanted in server.requests]
    assert len(starts) > 3
    assert starts == sorted(set(starts)), "each request goes on where the last one ended"


def test_a_later_run_goes_on_from_the_piece_of_an_earlier_one(server, tmp_path):
    server.script["/d.zip"] = [serve(cut_after=98_304), status(503)]
    row = dataset(f"{server.address}/d.zip")
    with pytest.raises(InputError, match="503"):
        fetch(row, tmp_path, Waits())
    server.script["/d.zip"] = [serve()]
    fetch(row, tmp_path, Waits())
    assert server.requests[-1][1] == "bytes=98304-"


def test_a_server_without_ranges_starts_over(server, tmp_path):
    server.script["/d.zip"] = [serve(cut_after=98_304, ranges=False), serve(ranges=False)]
    fetch(dataset(f"{server.address}/d.zip#md5={MD5}"), tmp_path, Waits())
    assert [wanted for _, wanted in server.requests] == [None, "bytes=98304-"]


def test_a_file_that_changed_meanwhile_is_not_glued_to_the_old_piece(server, tmp_path):
    server.script["/d.zip"] = [serve(cut_after=98_304), serve(packed(1), tag='"v2"')]
    fetch(dataset(f"{server.address}/d.zip"), tmp_path, Waits())
    source = json.loads((tmp_path / "datasets" / "lcqmc" / "source.json").read_text())
    assert source["files"][0]["sha256"] == hashlib.sha256(packed(1)).hexdigest()


def test_without_anything_to_check_by_the_piece_is_not_trusted(server, tmp_path):
    server.script["/d.zip"] = [serve(cut_after=98_304, tag=None), serve(tag=None)]
    fetch(dataset(f"{server.address}/d.zip"), tmp_path, Waits())
    assert [wanted for _, wanted in server.requests] == [None, None]


def test_a_piece_from_one_mirror_is_gone_on_with_at_another_only_under_one_checksum(server, tmp_path):
    server.script["/a/d.zip"] = [serve(cut_after=98_304), status(500)]
    server.script["/b/d.zip"] = [serve(tag=None)]
    urls = [f"{server.address}/{mirror}/d.zip#md5={MD5}" for mirror in "ab"]
    fetch(dataset(*urls), tmp_path, Waits())
    assert server.requests[-1] == ("/b/d.zip", "bytes=98304-")


def test_a_piece_longer_than_the_file_is_thrown_away(server, tmp_path):
    folder = tmp_path / "downloads" / "lcqmc"
    folder.mkdir(parents=True)
    url = f"{server.address}/d.zip"
    (folder / "d.zip.part").write_bytes(BODY + b"more")
    (folder / "d.zip.part.json").write_text(json.dumps({"url": url, "validator": '"v1"', "digest": None}))
    server.script["/d.zip"] = [serve()]
    fetch(dataset(url), tmp_path, Waits())
    assert [wanted for _, wanted in server.requests] == [f"bytes={len(BODY) + 4}-", None]


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (status(404), "404"),
        (status(403), "403"),
        (serve(HTML, content_type="text/html"), "HTML page"),
        (serve(HTML, content_type="application/zip"), "HTML page"),
        (serve(b"version https://git-lfs", content_type="text/plain"), "not a .zip file"),
        (serve(packed(1)), "md5"),
        (serve(b""), "416|empty"),
    ],
    ids=["404", "403", "html", "html-as-zip", "pointer", "checksum", "empty"],
)
def test_a_bad_mirror_is_passed_over_and_told(server, tmp_path, behaviour, reason):
    server.script["/bad/d.zip"] = [behaviour]
    server.script["/good/d.zip"] = [serve()]
    bad, good = (f"{server.address}/{mirror}/d.zip#md5={MD5}" for mirror in ("bad", "good"))
    waits = Waits()
    with pytest.raises(InputError, match=reason) as caught:
        fetch(dataset(bad), tmp_path, waits)
    assert bad.partition("#")[0] in str(caught.value)
    assert str(tmp_path / "downloads" / "lcqmc" / "d.zip") in str(caught.value)
    assert MD5 in str(caught.value)
    assert len(str(caught.value).splitlines()) < 24, "one screen"
    assert leftovers(tmp_path) == [], "nothing under the final name, nothing that would be taken up again"
    fetch(dataset(bad, good), tmp_path, waits)
    source = json.loads((tmp_path / "datasets" / "lcqmc" / "source.json").read_text())
    assert source["files"][0]["url"] == good.partition("#")[0]


def test_a_passing_fault_is_tried_again_ever_more_slowly(server, tmp_path):
    server.script["/d.zip"] = [status(503), status(429), status(500), serve()]
    waits = Waits()
    fetch(dataset(f"{server.address}/d.zip"), tmp_path, waits)
    assert waits == [1, 2, 4]


def test_a_server_that_says_nothing_is_left_and_tried_again(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUTS", (5, 0.2))
    server.script["/d.zip"] = [lambda handler: server.stop_waiting.wait(30), serve()]
    fetch(dataset(f"{server.address}/d.zip"), tmp_path, Waits())
    assert len(server.requests) == 2


def test_no_network_is_told_at_once_with_what_to_fetch_and_where_to_put_it(tmp_path, monkeypatch):
    def no_name(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_name)
    waits = Waits()
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InputError) as caught:
        fetch(DATASETS["lcqmc"], tmp_path, waits)
    message = str(caught.value)
    assert waits == []
    for part in ("no network", "lcqmc.zip", "lcqmc.tar.gz", str(tmp_path / "downloads" / "lcqmc" / "lcqmc.zip")):
        assert part in message
    with pytest.raises(InputError) as caught:
        run(DownloadOptions(("lcqmc", "albert_tiny_zh"), home=str(tmp_path)))
    assert "albert_tiny.zip" in str(caught.value)
    assert "lcqmc.zip" in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 24, "both fit one screen"


def test_a_refused_connection_is_not_tried_again(tmp_path, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/d.zip"
        waits = Waits()
        with pytest.raises(InputError, match="refused"):
            fetch(dataset(url), tmp_path, waits)
    assert waits == []


def test_a_file_put_there_by_hand_is_taken_and_kept(tmp_path):
    folder = tmp_path / "downloads" / "lcqmc"
    folder.mkdir(parents=True)
    (folder / "d.zip").write_bytes(BODY)
    row = dataset(f"http://127.0.0.1:9/d.zip#md5={MD5}")
    assert (fetch(row, tmp_path) / "train.tsv").is_file()
    assert (folder / "d.zip").is_file()


def test_a_file_put_there_by_hand_is_checked(tmp_path):
    folder = tmp_path / "downloads" / "lcqmc"
    folder.mkdir(parents=True)
    (folder / "d.zip").write_bytes(packed(1))
    with pytest.raises(InputError, match=f"not {MD5}"):
        fetch(dataset(f"http://127.0.0.1:9/d.zip#md5={MD5}"), tmp_path)


def test_two_processes_fetch_once(server, tmp_path):
    arrived, go_on = threading.Event(), threading.Event()

    def slow(handler: http.server.BaseHTTPRequestHandler) -> None:
        arrived.set()
        go_on.wait(30)
        serve()(handler)

    server.script["/d.zip"] = [slow]
    row = dataset(f"{server.address}/d.zip")
    folders: list[Path] = []
    threads = [threading.Thread(target=lambda: folders.append(fetch(row, tmp_path))) for _ in range(2)]
    threads[0].start()
    assert arrived.wait(30)
    threads[1].start()
    go_on.set()
    for thread in threads:
        thread.join(30)
    assert len(folders) == 2
    assert folders[0] == folders[1]
    assert len(server.requests) == 1


def test_an_archive_of_something_else_leaves_no_folder(server, tmp_path):
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        archive.writestr("readme.txt", "moved")
    server.script["/d.zip"] = [serve(memory.getvalue())]
    with pytest.raises(InputError, match=r"readme\.txt"):
        fetch(dataset(f"{server.address}/d.zip"), tmp_path)
    assert leftovers(tmp_path) == []


def test_a_model_of_single_files_takes_the_first_weights_there_are(server, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", f"{server.address}/mirror/")
    base = "/mirror/voidful/albert_chinese_tiny/resolve/main/"
    for name, content in (("pytorch_model.bin", b"\x80weights"), ("config.json", b"{}"), ("vocab.txt", b"[PAD]\n")):
        server.script[base + name] = [serve(content, content_type="application/octet-stream")]
    folder = fetch(MODELS["voidful/albert_chinese_tiny"], tmp_path, Waits())
    assert folder == tmp_path / "models" / "voidful--albert_chinese_tiny"
    assert {path.name for path in folder.iterdir()} == {"pytorch_model.bin", "config.json", "vocab.txt", "source.json"}


def test_a_full_disk_leaves_nothing_and_says_so(server, tmp_path, monkeypatch):
    class Full(io.BytesIO):
        def write(self, _: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    server.script["/d.zip"] = [serve()]
    monkeypatch.setattr(download, "open", lambda *_, **__: Full(), raising=False)
    with pytest.raises(InputError, match="disk is full"):
        fetch(dataset(f"{server.address}/d.zip"), tmp_path)
    assert leftovers(tmp_path) == []


def test_a_name_without_address_is_told(tmp_path):
    with pytest.raises(InputError, match="no public address"):
        run(DownloadOptions(("weibo_ner",), home=str(tmp_path)))


def test_a_name_of_the_catalogue_is_no_folder_unless_written_as_a_path(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weibo_ner").mkdir()
    with pytest.raises(InputError, match="no public address"):
        run(DownloadOptions(("weibo_ner",), home=str(tmp_path / "home")))
    run(DownloadOptions(("./weibo_ner", str(tmp_path / "weibo_ner"))))
    assert capsys.readouterr().out.splitlines() == ["weibo_ner", str(tmp_path / "weibo_ner")]


def test_the_command_prints_the_folders_alone_on_stdout(tmp_path, capsys):
    first, second = tmp_path / "a", tmp_path / "b"
    for folder in (first, second):
        folder.mkdir()
    run(DownloadOptions((str(first), str(second))))
    assert capsys.readouterr().out.splitlines() == [str(first), str(second)]


def test_the_checkpoint_is_found_whatever_folder_it_lies_in(server, tmp_path):
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        for name in ("checkpoint", "albert_model.ckpt.index", "albert_config_tiny.json"):
            archive.writestr(f"albert_tiny/{name}", "x")
    server.script["/m.zip"] = [serve(memory.getvalue())]
    row = Model(
        "m", "brightmart", "tiny", "tf1", (Download((f"{server.address}/m.zip",)),), (("*.index",), ("*.json",)), "?"
    )
    assert fetch(row, tmp_path).name == "albert_tiny"
