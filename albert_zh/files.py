"""Reading whose errors name file and line, and writing that is complete or not there."""

from __future__ import annotations

import contextlib
import errno
import glob
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

try:
    import fcntl
except ImportError:  # Windows: no lock, two processes at once are the user's care
    fcntl = None

#: A line longer than this is no sentence and no row; it is a file without line breaks.
MAX_LINE_BYTES = 1 << 20
#: The same of a JSON document, all of which may be one line: SQuAD's has 42 MB.
MAX_JSON_BYTES = 1 << 30


class InputError(ValueError):
    """Something a user gave cannot be used. The message says what, where, what was got and what to do."""


def first_line(error: BaseException) -> str:
    """The first line of what an error says, at most 200 characters; its type where it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:200]


def default_home() -> Path:
    """Where downloads and what is made of them are kept: ``$ALBERT_ZH_HOME``, else ``~/.cache/albert_zh``."""
    return Path(os.environ.get("ALBERT_ZH_HOME") or "~/.cache/albert_zh").expanduser()


def expand_paths(patterns: Sequence[str | os.PathLike[str]]) -> list[Path]:
    """Files behind names, comma-separated lists and globs, each once, in sorted order of each pattern.

    Raises:
        InputError: a name or a pattern matches no file.
    """
    found: dict[Path, None] = {}
    for pattern in (part for item in patterns for part in os.fspath(item).split(",") if part):
        matches = [pattern] if os.path.exists(pattern) else sorted(glob.glob(pattern))
        files = [Path(match) for match in matches if os.path.isfile(match)]
        if not files:
            kind = "is a folder, not a file" if os.path.isdir(pattern) else "no such file"
            raise InputError(f"{pattern}: {kind} (working folder {os.getcwd()}). Check the path or the pattern.")
        found.update(dict.fromkeys(files))
    if not found:
        raise InputError("no input file was named. Give one or more files or patterns, such as data/*.txt.")
    return list(found)


def read_lines(path: str | os.PathLike[str], longest: int = MAX_LINE_BYTES) -> Iterator[tuple[int, str]]:
    """Yields (line number from 1, text without its line end) of a UTF-8 file, a byte order mark left out.

    Raises:
        InputError: the file is missing, not UTF-8, or holds a line of more than ``longest`` bytes.
    """
    path = os.fspath(path)
    try:
        stream = open(path, "rb")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}. Check the path.") from error
    with stream:
        number = 0
        while raw := stream.readline(longest + 1):
            number += 1
            if len(raw) > longest:
                raise InputError(
                    f"{path}:{number}: the line is longer than {longest:,} bytes. Write one sentence or one row a line."
                )
            yield number, decode_line(raw, path, number)


def decode_line(raw: bytes, path: str | os.PathLike[str], number: int) -> str:
    """One raw line as text. Raises InputError naming ``path:number`` when the bytes are not UTF-8."""
    try:
        text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{os.fspath(path)}:{number}: not UTF-8 (byte 0x{raw[error.start]:02x} at {error.start}). "
            f"Convert the file, for example: iconv -f GB18030 -t UTF-8 {os.fspath(path)} > new.txt"
        ) from error
    return text.rstrip("\r\n")


def read_tsv(path: str | os.PathLike[str]) -> Iterator[tuple[int, list[str]]]:
    """Yields (line number, columns) of a tab-separated file; blank lines are passed over."""
    for number, line in read_lines(path):
        if line.strip():
            yield number, line.split("\t")


def read_json_lines(path: str | os.PathLike[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields (line number, object) of a file with one JSON object a line; blank lines are passed over.

    Raises:
        InputError: a line is not a JSON object.
    """
    for number, line in read_lines(path):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(
                f"{os.fspath(path)}:{number}: not JSON ({error.msg} at column {error.colno}). "
                "Each line must be one JSON object."
            ) from error
        if not isinstance(row, dict):
            raise InputError(f"{os.fspath(path)}:{number}: a JSON {type(row).__name__}, not an object. Fix the row.")
        yield number, row


def read_json(path: str | os.PathLike[str]) -> Any:
    """The value of a JSON file. Raises InputError (file:line) when it is missing or not JSON."""
    text = "\n".join(line for _, line in read_lines(path, MAX_JSON_BYTES))  # which may be one line
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{os.fspath(path)}:{error.lineno}: not JSON ({error.msg} at column {error.colno}). Fix the file."
        ) from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, brackets thousands deep
        raise InputError(f"{os.fspath(path)}: not a JSON file of this kind ({error}). Fix the file.") from error


@contextlib.contextmanager
def atomic_writer(path: str | os.PathLike[str], mode: str = "w") -> Iterator[IO[Any]]:
    """A file that appears under ``path`` only when the block ends without an error (temp, fsync, rename).

    Raises:
        InputError: the folder cannot be written or the disk is full; nothing is left behind.
    """
    path = Path(path)
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        try:
            with os.fdopen(handle, mode, **({} if "b" in mode else {"encoding": "utf-8", "newline": ""})) as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            os.chmod(temporary, 0o666 & ~umask())
            os.replace(temporary, path)
            _sync_folder(path.parent)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise


@contextlib.contextmanager
def atomic_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A folder that appears under ``path``, replacing an older one, only when the block ends without an error.

    Yields the temporary folder to fill.
    """
    path = Path(path)
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent))
        old = None
        try:
            yield temporary
            for file in temporary.rglob("*"):
                if file.is_file():
                    with open(file, "rb") as stream:
                        os.fsync(stream.fileno())
            os.chmod(temporary, 0o777 & ~umask())
            if path.exists():
                old = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".old", dir=path.parent))
                os.replace(path, old)
            os.replace(temporary, path)
            _sync_folder(path.parent)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            if old is not None and not path.exists():
                os.replace(old, path)
            raise
        finally:
            if old is not None and path.exists():
                shutil.rmtree(old, ignore_errors=True)


@contextlib.contextmanager
def locked(path: Path, busy: Callable[[], None], advice: str) -> Iterator[None]:
    """Holds ``path``, a file for this alone, for one process at a time.

    Args:
        path: made if it is not there, its folder too.
        busy: called when another process holds it: may raise; when it returns, that process is waited for.
        advice: what to do when the folder cannot be written, for the error.

    Raises:
        InputError: the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise InputError(f"{path.parent}: cannot be written: {error.strerror}. {advice}.") from error
    try:
        if fcntl is not None:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # given up when the process ends, however it ends
            except BlockingIOError:
                busy()
                fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Writes ``value`` as indented UTF-8 JSON, atomically."""
    with atomic_writer(path) as stream:
        json.dump(value, stream, ensure_ascii=False, indent=2)
        stream.write("\n")


def sha256(path: str | os.PathLike[str]) -> str:
    """The SHA-256 of a file's bytes, in hex."""
    return file_digest(path, "sha256")


def file_digest(path: str | os.PathLike[str], algorithm: str) -> str:
    """The hash of a file's bytes, in hex; ``algorithm`` is a name ``hashlib`` knows."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest()


@contextlib.contextmanager
def explained(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turns what can go wrong with the disk while ``path`` is written into an InputError that says what to do."""
    try:
        yield
    except OSError as error:
        reasons = {
            errno.ENOSPC: "the disk is full. Free some space; nothing half-written was left",
            errno.EFBIG: "the file would be larger than this system allows. Choose another folder",
            errno.EIO: "the disk reports an error. Check it, or choose another folder",
            errno.EDQUOT: "the disk quota is used up. Free some space; nothing half-written was left",
            errno.EACCES: "permission denied. Choose another folder or change its rights",
            errno.EROFS: "the file system is read-only. Choose another folder",
            errno.EISDIR: "a file and a folder cannot take each other's place. Choose another name",
            errno.ENOTDIR: "a part of the path is a file, not a folder. Choose another folder",
            errno.EEXIST: "a part of the path is a file, not a folder. Choose another folder",
        }
        if error.errno not in reasons:
            raise
        raise InputError(f"{path}: cannot be written: {reasons[error.errno]}.") from error


def umask() -> int:
    """The rights that new files of this process do not get."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
