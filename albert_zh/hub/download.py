"""Fetching: mirrors in order, resume, checksum, and a folder that is complete or not there."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, urldefrag, urlsplit

import requests
import tqdm
import urllib3

from albert_zh.files import InputError, atomic_folder, default_home, file_digest, locked, sha256, write_json
from albert_zh.hub.archive import find_root, is_archive, unpack
from albert_zh.hub.catalog import DATASETS, HUGGINGFACE, MODELS, Dataset, Download, Model, find

#: Seconds to wait for a connection, and for the next bytes of one.
TIMEOUTS = (10, 60)
#: Attempts in a row that bring no new byte before an address is given up; the waits between them are 1, 2, 4 s.
ATTEMPTS = 4
ELSEWHERE = "Set ALBERT_ZH_HOME to a folder you can write"
_CHUNK = 1 << 14  # a break loses what is less than this
_MAGIC = {".zip": (b"PK\x03\x04", b"PK\x05\x06"), ".gz": (b"\x1f\x8b",), ".tgz": (b"\x1f\x8b",)}


class Unusable(Exception):
    """This address will not give the file: go on to the next one. The message is the reason."""


class _Interrupted(Exception):
    """The transfer broke: try this address again."""


# ---------------------------------------------------------------------------------------------------------------------
# By name


def fetch(row: Model | Dataset, home: Path, wait: Callable[[float], None] = time.sleep) -> Path:
    """The folder of a catalogue row under ``home``, complete; ``wait`` is what passes the seconds between attempts.

    Raises:
        InputError: no address is known or none worked; says what to fetch and where to put it.
    """
    folder = folder_of(row, home)
    if (root := here(row, home)) is not None:
        return root
    if not row.downloads:
        raise InputError(
            f"{row.name}: no public address is known{f' ({row.note})' if row.note else ''}. Put its files "
            f"({_listed(row)}) in\n  {folder}\nor give their folder: {_flag_of(row)} DIR."
        )
    say(f"{row.name}: licence {row.licence}{'; ' + row.note if row.note else ''}")
    lock = home / "locks" / f"{folder.name}.lock"
    with locked(lock, lambda: say(f"{row.name}: another process is fetching it; waiting for that"), ELSEWHERE):
        if (root := here(row, home)) is not None:  # another process fetched it while this one waited
            return root
        files, failures = [], []
        for download in row.downloads:
            try:
                files.append(fetch_file(download, home / "downloads" / folder.name, wait))
            except Unusable as error:
                failures.append((download, str(error)))
        if failures:
            raise InputError(_what_to_do(row, home / "downloads" / folder.name, failures))
        try:
            _unpack_all(row, files, folder)
        finally:
            for file in files:
                if file.url != "local":  # what a user put there stays
                    file.path.unlink(missing_ok=True)
    root = here(row, home)
    assert root is not None, "checked before the folder was renamed"
    say(f"{row.name}: {root}")
    return root


def folder_of(row: Model | Dataset, home: Path) -> Path:
    """The folder under ``home`` that a catalogue row is kept in, whether it is there or not."""
    return home / ("models" if isinstance(row, Model) else "datasets") / row.name.replace("/", "--")


def here(row: Model | Dataset, home: Path) -> Path | None:
    """The folder that holds all files of a catalogue row, None when it has not been fetched to ``home``."""
    folder = folder_of(row, home)
    return find_root(folder, row.files) if folder.is_dir() else None


def _listed(row: Model | Dataset) -> str:
    return ", ".join(" or ".join(group) for group in row.files)


def _unpack_all(row: Model | Dataset, files: list[Fetched], folder: Path) -> None:
    with atomic_folder(folder) as temporary:
        for file in files:
            if is_archive(file.path.name):
                unpack(file.path, temporary)
            else:
                shutil.copyfile(file.path, temporary / file.path.name)
        if find_root(temporary, row.files) is None:
            held = sorted(path.relative_to(temporary).as_posix() for path in temporary.rglob("*") if path.is_file())
            raise InputError(
                f"{row.name}: the download holds {', '.join(held[:8]) or 'nothing'}{' ...' if len(held) > 8 else ''}, "
                f"but {_listed(row)} was expected. Delete {files[0].path.parent} and try again, or give a folder."
            )
        write_json(
            temporary / "source.json",
            {
                "name": row.name,
                "licence": row.licence,
                "files": [{"url": file.url, "sha256": sha256(file.path)} for file in files],
            },
        )


def _flag_of(row: Model | Dataset) -> str:
    return "--model_dir" if isinstance(row, Model) else "--data_dir"


def _what_to_do(row: Model | Dataset, folder: Path, failures: list[tuple[Download, str]]) -> str:
    lines = [f"{row.name} could not be downloaded. Fetch by other means:"]
    for download, reason in failures:
        addresses = addresses_of(download)
        lines += [f"  {address.url}" for address in addresses]
        sums = {address.algorithm: address.digest for address in addresses if address.algorithm}
        lines += [f"    ({algorithm} of the first: {digest})" for algorithm, digest in sums.items()]
        lines += [f"  and put it here{', one of them is enough' if len(addresses) > 1 else ''}:"]
        lines += [f"    {target}" for target in dict.fromkeys(str(folder / address.file) for address in addresses)]
        lines += [f"  what went wrong: {reason}"]
    lines += [
        "Then run the same command again; half-fetched files are gone on with.",
        f"Or unpack it anywhere ({_listed(row)}) and give that folder: {_flag_of(row)} DIR.",
    ]
    return "\n".join(lines)


# ---------------------------------------------------------------------------------------------------------------------
# One file


@dataclass(frozen=True)
class Address:
    """Where bytes are: the address, the name they are kept under, and their checksum where one is known."""

    url: str
    file: str
    algorithm: str | None = None
    digest: str | None = None


@dataclass(frozen=True)
class Fetched:
    """A file that is here, and the address it came from; ``url`` is "local" for one a user put there."""

    path: Path
    url: str


def addresses_of(download: Download) -> list[Address]:
    """Where one file can be had, in the order tried; ``HF_ENDPOINT`` stands in for Hugging Face's own address."""
    endpoint = os.environ.get("HF_ENDPOINT")
    addresses = []
    for text in download.urls:
        url, fragment = urldefrag(text)
        if endpoint and url.startswith(HUGGINGFACE):
            url = endpoint.rstrip("/") + "/" + url.removeprefix(HUGGINGFACE)
        algorithm, digest = next(iter(parse_qsl(fragment)), (None, None))
        addresses.append(Address(url, urlsplit(url).path.rsplit("/", 1)[-1], algorithm, digest))
    return list(dict.fromkeys(addresses))


def fetch_file(download: Download, folder: Path, wait: Callable[[float], None] = time.sleep) -> Fetched:
    """One file from the first address that gives it, checked; a file already in ``folder`` is taken if it passes.

    Raises:
        Unusable: no address worked; the message holds each reason.
        InputError: the disk is full or the folder cannot be written.
    """
    addresses = addresses_of(download)
    reasons = []
    for address in addresses:
        path = folder / address.file
        if path.is_file():
            checked = [other for other in addresses if other.file == address.file and other.digest]
            if not checked or any(file_digest(path, other.algorithm) == other.digest for other in checked):
                return Fetched(path, "local")
            raise InputError(
                f"{path}: its {checked[0].algorithm} is {file_digest(path, checked[0].algorithm)}, "
                f"not {checked[0].digest}. Delete it and run the command again."
            )
    unreachable: set[str] = set()
    for address in addresses:
        host = urlsplit(address.url).netloc
        if host in unreachable:
            continue
        try:
            return Fetched(_fetch_address(address, folder, wait), address.url)
        except Unusable as error:
            reasons.append(f"{host}: {error}")
            if isinstance(error, _Unreachable):
                unreachable.add(host)
            elif len(addresses) > 1:
                say(f"{address.url}: {error}; trying the next address")
    raise Unusable("; ".join(reasons))


class _Unreachable(Unusable):
    """The host cannot be reached at all, so another file there is not tried either."""


def _fetch_address(address: Address, folder: Path, wait: Callable[[float], None]) -> Path:
    """Brings the bytes of one address to ``folder``, going on from a ``.part`` of an earlier run."""
    part = folder / f"{address.file}.part"
    with _explained(part):
        folder.mkdir(parents=True, exist_ok=True)
        failed = 0
        resumed = False
        while True:
            before = part.stat().st_size if part.exists() else 0
            try:
                resumed |= _transfer(address, part)
            except _Interrupted as error:
                failed = 0 if part.exists() and part.stat().st_size > before else failed + 1
                if failed >= ATTEMPTS:
                    raise Unusable(f"{error}, {failed} times in a row") from error
                wait(2.0 ** max(failed - 1, 0))
                continue
            if address.digest is None or file_digest(part, address.algorithm) == address.digest:
                break
            got = file_digest(part, address.algorithm)
            _discard(part)
            if not resumed:
                raise Unusable(f"the file's {address.algorithm} is {got}, not {address.digest}")
            resumed = False  # the old beginning may have been of another file: once more from the start
        os.replace(part, folder / address.file)
        _side(part).unlink(missing_ok=True)
    return folder / address.file


def _transfer(address: Address, part: Path) -> bool:
    """One request, its bytes appended to ``part``; returns whether it went on from an earlier piece.

    Raises:
        _Interrupted: broken off or a passing fault of the server.
        Unusable: the server will not give this file.
    """
    start, headers = _resume(address, part)
    try:
        with requests.get(
            address.url, headers={"Accept-Encoding": "identity", **headers}, stream=True, timeout=TIMEOUTS
        ) as response:
            if response.status_code == 416 and start:
                _discard(part)
                raise _Interrupted("the server has no more bytes than the piece here")
            if response.status_code == 429 or response.status_code >= 500:
                raise _Interrupted(f"the server answered {response.status_code}")
            if response.status_code not in (200, 206):
                raise Unusable(f"the server answered {response.status_code} {response.reason}")
            if response.status_code == 206 and not response.headers.get("Content-Range", "").startswith(
                f"bytes {start}-"
            ):
                _discard(part)
                raise _Interrupted("the server sent another range than was asked for")
            start = start if response.status_code == 206 else 0
            _receive(response, address, part, start)
    except requests.exceptions.RequestException as error:
        raise _reason(error) from error
    return start > 0


def _receive(response: requests.Response, address: Address, part: Path, start: int) -> None:
    encoded = response.headers.get("Content-Encoding", "identity") != "identity"
    length = response.headers.get("Content-Length")
    total = start + int(length) if length and not encoded else None
    if not start:
        _remember(response, address, part, encoded)
    with (
        open(part, "ab" if start else "wb") as out,
        tqdm.tqdm(
            total=total, initial=start, unit="B", unit_scale=True, unit_divisor=1024, desc=address.file, disable=None
        ) as bar,
    ):
        for chunk in response.iter_content(_CHUNK):
            if out.tell() == 0 and (fault := _not_the_file(address, response, chunk)):
                out.close()
                _discard(part)
                raise Unusable(fault)
            out.write(chunk)
            bar.update(len(chunk))
        size = out.tell()
    if total is not None and size != total:
        raise _Interrupted(f"{size:,} of {total:,} bytes came")
    if size == 0:
        raise Unusable("the file is empty")


def _not_the_file(address: Address, response: requests.Response, beginning: bytes) -> str | None:
    """Why these first bytes are not the file asked for: a login or error page sent with status 200."""
    magic = _MAGIC.get(Path(address.file).suffix.lower())
    page = beginning.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html"))
    if page or (magic is None and response.headers.get("Content-Type", "").startswith("text/html")):
        return "an HTML page came instead of the file"
    if magic is not None and not beginning.startswith(magic):
        return f"what came is not a {Path(address.file).suffix} file (it begins with {beginning[:8]!r})"
    return None


def _reason(error: requests.exceptions.RequestException) -> Exception:
    """No network and no such host are told at once; only what broke on the way is worth another attempt."""
    cause = error.args[0] if error.args else None
    cause = getattr(cause, "reason", cause)
    if isinstance(cause, urllib3.exceptions.NameResolutionError):
        return _Unreachable("no network, or no DNS for this host")
    if isinstance(error, requests.exceptions.ProxyError):
        return _Unreachable("the proxy cannot be reached")
    if isinstance(error, requests.exceptions.SSLError):
        return _Unreachable(f"no trusted connection ({cause})")
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return _Unreachable(f"no connection within {TIMEOUTS[0]} s")
    if isinstance(cause, urllib3.exceptions.NewConnectionError):
        return _Unreachable("no connection: refused, or no network")
    if isinstance(error, (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema)):
        return Unusable(f"not an address ({error})")
    return _Interrupted(f"the connection broke ({type(error).__name__})")


# ---------------------------------------------------------------------------------------------------------------------
# The piece of an earlier run


def _side(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _remember(response: requests.Response, address: Address, part: Path, encoded: bool) -> None:
    """Keeps beside the piece what tells later whether the file behind the address is still the same."""
    tag = response.headers.get("ETag")
    strong = tag if tag and not tag.startswith("W/") else None  # a weak tag may not stand in If-Range
    validator = None if encoded else strong or response.headers.get("Last-Modified")
    part.unlink(missing_ok=True)  # first, so that a new side file never stands beside an old piece
    write_json(_side(part), {"url": address.url, "validator": validator, "digest": address.digest})


def _resume(address: Address, part: Path) -> tuple[int, dict[str, str]]:
    """(bytes to go on from, headers to ask with); (0, {}) when the piece cannot be trusted."""
    try:
        about = json.loads(_side(part).read_text(encoding="utf-8"))
        start = part.stat().st_size
    except (FileNotFoundError, ValueError):
        return 0, {}
    if not start:
        return 0, {}
    if about.get("url") == address.url and about.get("validator"):
        return start, {"Range": f"bytes={start}-", "If-Range": about["validator"]}
    if address.digest and about.get("digest") == address.digest:  # the checksum tells at the end
        return start, {"Range": f"bytes={start}-"}
    return 0, {}


def _discard(part: Path) -> None:
    part.unlink(missing_ok=True)
    _side(part).unlink(missing_ok=True)


@contextlib.contextmanager
def _explained(part: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if isinstance(error, requests.exceptions.RequestException):
            raise
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            _discard(part)
            raise InputError(
                f"{part.parent}: the disk is full. Free some space or set ALBERT_ZH_HOME to another folder."
            ) from error
        if error.errno in (errno.EACCES, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            raise InputError(f"{part.parent}: {error.strerror}. {ELSEWHERE}.") from error
        raise


def say(text: str) -> None:
    print(text, file=sys.stderr)  # stdout carries the folders alone, for scripts


# ---------------------------------------------------------------------------------------------------------------------
# The command


@dataclass(frozen=True)
class DownloadOptions:
    """Options of ``albert-zh download``."""

    names: tuple[str, ...] = field(
        metadata={
            "help": "Models and data sets, as `albert-zh models` lists them; a folder stands for itself, as ./NAME if "
            "one of them has its name.",
            "positional": True,
        }
    )
    home: str | None = field(
        default=None,
        metadata={"help": "Folder that keeps downloads; without it $ALBERT_ZH_HOME, else ~/.cache/albert_zh."},
    )


def run(options: DownloadOptions) -> None:
    """Fetches each name and prints its folder, one a line; a folder given instead stands for itself.

    A name of the catalogue is never a folder here: ``./lcqmc`` or an absolute path is.

    Raises:
        InputError: an unknown name, or what could not be fetched, all in one message.
    """
    home = Path(options.home).expanduser() if options.home else default_home()
    known = MODELS | DATASETS
    rows = [known.get(name) or (None if os.path.isdir(name) else find(name)) for name in options.names]
    folders, failures = [], []
    for name, row in zip(options.names, rows, strict=True):
        try:
            folders.append(Path(name) if row is None else fetch(row, home))
        except InputError as error:
            failures.append(str(error))
    if failures:
        raise InputError("\n\n".join(failures))
    for folder in folders:
        print(folder)
