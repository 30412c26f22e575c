"""Safe unpacking of zip and tar.gz: plain files inside the target only, within limits."""

from __future__ import annotations

import gzip
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from albert_zh.files import InputError

ARCHIVE_SUFFIXES = (".zip", ".tar.gz", ".tgz")
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Limits:
    """How much an archive may hold before it is taken for a bomb.

    Attributes:
        bytes: unpacked bytes in all; the largest published model (xxlarge with optimizer slots) needs 2.7 GB.
        files: number of members; RACE, one file a passage, has 28,000.
        ratio: unpacked to packed bytes; text packs 3 to 10 times, zeros 1,000 times.
        free_bytes: below this many unpacked bytes the ratio is not looked at.
    """

    bytes: int = 8 << 30
    files: int = 100_000
    ratio: int = 100
    free_bytes: int = 10 << 20


def is_archive(name: str) -> bool:
    """Whether a file of this name is unpacked here."""
    return name.lower().endswith(ARCHIVE_SUFFIXES)


def unpack(archive: Path, folder: Path, limits: Limits = Limits()) -> None:
    """Unpacks ``archive`` into the existing ``folder``; give a temporary one, since an error leaves it half filled.

    Refused: names that are absolute, have a drive or ``..``, occur twice; links, devices, encrypted members; more than
    the limits, counted in bytes really written rather than those the archive claims.

    Raises:
        InputError: one of the above, or the archive is damaged or of another kind; names archive and member.
    """
    members = _zip_members if archive.name.lower().endswith(".zip") else _tar_members
    budget = min(limits.bytes, max(limits.free_bytes, archive.stat().st_size * limits.ratio))
    written = count = 0
    try:
        for name, stream in members(archive):
            count += 1
            if count > limits.files:
                raise InputError(f"{archive}: more than {limits.files:,} files. It is not unpacked; check its origin.")
            target = _inside(folder, name, archive)
            if target is None:
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with open(target, "xb") as out:
                while chunk := stream.read(_CHUNK):
                    written += len(chunk)
                    if written > budget:
                        raise InputError(
                            f"{archive}: unpacks to more than {budget:,} bytes, {limits.ratio} times its size or the "
                            f"limit of {limits.bytes:,}. It is not unpacked; check its origin."
                        )
                    out.write(chunk)
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise InputError(f"{archive}: {name!r} is in it twice, or as file and folder. Check its origin.") from error
    except (
        zipfile.BadZipFile,
        tarfile.TarError,
        gzip.BadGzipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
    ) as error:
        raise InputError(
            f"{archive}: damaged or not a {'zip' if members is _zip_members else 'tar.gz'} file ({error}). "
            "Delete it and fetch it again."
        ) from error


def _zip_members(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    for encoding in ("utf-8", "gbk", None):  # names not marked as UTF-8: macOS writes that, Chinese Windows GBK
        try:
            opened = zipfile.ZipFile(archive, metadata_encoding=encoding)
            break
        except UnicodeDecodeError:
            continue
    with opened:
        for member in opened.infolist():
            kind = stat.S_IFMT(member.external_attr >> 16)
            if member.is_dir():
                continue
            if kind not in (0, stat.S_IFREG):
                raise InputError(f"{archive}: {member.filename!r} is a link or a device. Check the archive's origin.")
            if member.flag_bits & 1:
                raise InputError(
                    f"{archive}: {member.filename!r} is encrypted. Unpack it yourself and give its folder."
                )
            with opened.open(member) as stream:
                yield member.filename, stream


def _tar_members(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    with tarfile.open(archive, "r:gz") as opened:
        for member in opened:
            if member.isdir():
                continue
            stream = opened.extractfile(member) if member.isreg() else None
            if stream is None:
                raise InputError(f"{archive}: {member.name!r} is a link or a device. Check the archive's origin.")
            with stream:
                yield member.name, stream


def _inside(folder: Path, name: str, archive: Path) -> Path | None:
    """Where member ``name`` goes; None for what a file manager left in the archive."""
    plain = PurePosixPath(name.replace("\\", "/"))
    if plain.is_absolute() or ".." in plain.parts or (plain.parts and ":" in plain.parts[0]) or not plain.parts:
        raise InputError(f"{archive}: {name!r} would be written outside the target. Check the archive's origin.")
    if "__MACOSX" in plain.parts or plain.name == ".DS_Store" or plain.name.startswith("._"):
        return None
    return folder.joinpath(*plain.parts)


def find_root(folder: Path, groups: tuple[tuple[str, ...], ...]) -> Path | None:
    """The first folder, outermost first, that holds a file of each group; a name may be a pattern (``*.index``)."""
    for root, folders, _ in os.walk(folder):
        folders.sort()
        if all(any(any(Path(root).glob(name)) for name in group) for group in groups):
            return Path(root)
    return None
