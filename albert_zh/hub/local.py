"""A model in an archive, on this disk or at an address, as a folder."""

from __future__ import annotations

import hashlib
import os
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from albert_zh.files import InputError, atomic_folder, locked, sha256
from albert_zh.hub.archive import ARCHIVE_SUFFIXES, is_archive, unpack
from albert_zh.hub.catalog import Download
from albert_zh.hub.download import ELSEWHERE, Unusable, default_home, fetch_file, say

#: TF Hub gives the files of a module for this at the end of its address.
_HUB_HOST, _HUB_QUERY = "tfhub.dev", "?tf-hub-format=compressed"


def unpacked(archive: str | os.PathLike[str], home: Path | None = None) -> Path:
    """The folder an archive is unpacked into, once: the same bytes are not unpacked again.

    Args:
        archive: a ``.zip`` or ``.tar.gz``.
        home: where downloads are kept; left out, ``default_home()``.

    Raises:
        InputError: the archive is damaged, would write outside its folder, or holds more than the limits.
    """
    archive = Path(archive)
    name = next(archive.name[: -len(end)] for end in ARCHIVE_SUFFIXES if archive.name.lower().endswith(end))
    folder = (home or default_home()) / "unpacked" / _named(name, sha256(archive))
    with _alone(folder):
        if not folder.is_dir():
            with atomic_folder(folder) as temporary:
                unpack(archive, temporary)
            say(f"{archive}: unpacked into {folder}")
    return folder


def fetched(url: str, home: Path | None = None, wait: Callable[[float], None] = time.sleep) -> Path:
    """The folder behind an address: an archive fetched and unpacked, once.

    Args:
        url: of a ``.zip`` or ``.tar.gz``, or of a module of TF Hub.
        home: where downloads are kept; left out, ``default_home()``.
        wait: what passes the seconds between attempts.

    Raises:
        InputError: it cannot be fetched, or is no archive.
    """
    home, parts = home or default_home(), urlsplit(url)
    asked = url + _HUB_QUERY if parts.netloc == _HUB_HOST and not parts.query else url
    folder = home / "unpacked" / _named(parts.path.replace("/", "-"), hashlib.sha256(asked.encode()).hexdigest())
    with _alone(folder):
        if folder.is_dir():
            return folder
        try:
            file = fetch_file(Download((asked,)), home / "downloads" / folder.name, wait).path
        except Unusable as error:
            raise InputError(
                f"{url}: could not be fetched ({error}). Check the address; or fetch the archive by other means and "
                "give it, or the folder it unpacks to."
            ) from error
        try:
            if not is_archive(file.name):
                if not tarfile.is_tarfile(file):
                    raise InputError(f"{url}: no archive came. Give the address of a .zip or a .tar.gz.")
                file = file.rename(file.with_name("module.tar.gz"))  # what TF Hub sends
            with atomic_folder(folder) as temporary:
                unpack(file, temporary)
        finally:
            file.unlink()
    return folder


def _named(name: str, digest: str) -> str:
    """What a folder is called: short enough for any file system, and told from others by the digest."""
    return f"{name.strip('-')[-60:]}-{digest[:16]}"


def _alone(folder: Path):
    lock = folder.parent.parent / "locks" / f"{folder.name}.lock"
    return locked(lock, lambda: say(f"{folder}: another process is unpacking it; waiting for that"), ELSEWHERE)
