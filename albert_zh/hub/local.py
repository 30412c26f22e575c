"""A model in an archive, on this disk or at an address, as a folder."""

from __future__ import annotations

import hashlib
import os
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
    folder = (home or default_home()) / "unpacked" / f"{name}-{sha256(archive)[:16]}"
    with _alone(folder):
        if not folder.is_dir():
            with atomic_folder(folder) as temporary:
                unpack(archive, temporary)
            say(f"{archive}: unpacked into {folder}")
    return folder


def fetched(url: str, home: Path | None = None) -> Path:
    """The folder behind an address: an archive fetched and unpacked, once.

    Raises:
        InputError: it cannot be fetched, or is no archive.
    """
    home, parts = home or default_home(), urlsplit(url)
    asked = url + _HUB_QUERY if parts.netloc == _HUB_HOST and not parts.query else url
    name = "-".join(part for part in parts.path.split("/") if part)
    folder = home / "unpacked" / f"{name}-{hashlib.sha256(asked.encode()).hexdigest()[:16]}"
    with _alone(folder):
        if folder.is_dir():
            return folder
        try:
            file = fetch_file(Download((asked,)), home / "downloads" / folder.name).path
        except Unusable as error:
            raise InputError(
                f"{url}: could not be fetched ({error}). Fetch it by other means and give the archive or its folder."
            ) from error
        if not is_archive(file.name):
            file = file.rename(file.with_name(f"{file.name}.tar.gz"))  # what TF Hub sends; anything else is refused
        try:
            with atomic_folder(folder) as temporary:
                unpack(file, temporary)
        finally:
            file.unlink()
    return folder


def _alone(folder: Path):
    lock = folder.parent.parent / "locks" / f"{folder.name}.lock"
    return locked(lock, lambda: say(f"{folder}: another process is unpacking it; waiting for that"), ELSEWHERE)
