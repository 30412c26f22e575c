"""Unpacking writes plain files inside the target, within limits, or fails."""

from __future__ import annotations

import io
import stat
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest

from albert_zh.files import InputError
from albert_zh.hub.archive import Limits, find_root, is_archive, unpack


def write_zip(path: Path, members: list[tuple[str, bytes]], mode: int = 0o644) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return path


def write_tar(path: Path, members: list[tuple[tarfile.TarInfo, bytes]]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "deep" / "target"
    folder.mkdir(parents=True)
    return folder


def files_under(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_what_was_packed_comes_out(tmp_path, target):
    members = [("a/train.txt", "一\t二\t1\n".encode()), ("a/b/dev.txt", b""), ("a/test.txt", b"x" * 3_000_000)]
    unpack(write_zip(tmp_path / "d.zip", members), target)
    assert {name: (target / name).read_bytes() for name in files_under(target)} == dict(members)

    other = tmp_path / "other"
    other.mkdir()
    unpack(write_tar(tmp_path / "d.tar.gz", [(tarfile.TarInfo(name), content) for name, content in members]), other)
    assert {name: (other / name).read_bytes() for name in files_under(other)} == dict(members)


@pytest.mark.parametrize("name", ["../out.txt", "a/../../out.txt", "/tmp/out.txt", "C:\\out.txt", "..\\out.txt"])
@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_no_name_leaves_the_target(tmp_path, target, name, kind):
    path = tmp_path / f"evil.{kind}"
    write_zip(path, [(name, b"x")]) if kind == "zip" else write_tar(path, [(tarfile.TarInfo(name), b"x")])
    with pytest.raises(InputError, match="outside the target"):
        unpack(path, target)
    assert files_under(tmp_path) == [path.name]


def test_links_and_devices_are_refused(tmp_path, target):
    with pytest.raises(InputError, match="link or a device"):
        unpack(write_zip(tmp_path / "l.zip", [("link", b"/etc/passwd")], stat.S_IFLNK | 0o777), target)
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
        info = tarfile.TarInfo("link")
        info.type, info.linkname = kind, "/etc/passwd"
        with pytest.raises(InputError, match="link or a device"):
            unpack(write_tar(tmp_path / "l.tar.gz", [(info, b"")]), target)
    assert files_under(target) == []


def test_an_archive_stops_at_its_limits(tmp_path, target):
    bomb = write_zip(tmp_path / "bomb.zip", [("zeros", bytes(20 << 20))])
    with pytest.raises(InputError, match="unpacks to more than"):
        unpack(bomb, target)
    assert sum(path.stat().st_size for path in target.rglob("*")) <= 11 << 20
    many = write_zip(tmp_path / "many.zip", [(str(number), b"") for number in range(20)])
    with pytest.raises(InputError, match="more than 10 files"):
        unpack(many, target, Limits(files=10))


def test_sizes_are_counted_not_believed(tmp_path, target):
    path = write_zip(tmp_path / "lie.zip", [("zeros", bytes(1 << 20))])
    raw = bytearray(path.read_bytes())
    central = raw.rindex(b"PK\x01\x02")
    struct.pack_into("<I", raw, central + 24, 10)  # the uncompressed size it claims
    path.write_bytes(raw)
    with pytest.raises(InputError):
        unpack(path, target, Limits(ratio=1, free_bytes=5))


def test_chinese_names_come_out_right_whatever_wrote_them(tmp_path, target):
    for encoding in ("utf-8", "gbk"):
        path = tmp_path / f"{encoding}.zip"
        name = f"数据/训练{encoding}.txt"
        stand_in = b"n" * len(name.encode(encoding))
        write_zip(path, [(stand_in.decode(), b"1")])
        path.write_bytes(path.read_bytes().replace(stand_in, name.encode(encoding)))  # no UTF-8 mark, as old tools do
        unpack(path, target)
    assert files_under(target) == ["数据/训练gbk.txt", "数据/训练utf-8.txt"]


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_damage_is_told_with_the_archive_named(tmp_path, target, kind):
    path = tmp_path / f"d.{kind}"
    content = bytes(range(256)) * 400
    write_zip(path, [("a", content)]) if kind == "zip" else write_tar(path, [(tarfile.TarInfo("a"), content)])
    whole = path.read_bytes()
    for broken in (whole[: len(whole) // 2], b"not an archive", b""):
        path.write_bytes(broken)
        with pytest.raises(InputError, match="damaged"):
            unpack(path, target)


def test_a_name_twice_is_refused(tmp_path, target):
    with pytest.warns(UserWarning, match="Duplicate"):
        path = write_zip(tmp_path / "twice.zip", [("a", b"1"), ("a", b"2")])
    with pytest.raises(InputError, match="twice"):
        unpack(path, target)
    with pytest.raises(InputError, match="file and folder"):
        unpack(write_zip(tmp_path / "both.zip", [("f", b"1"), ("f/g", b"2")]), target)


def test_what_a_file_manager_left_is_passed_over(tmp_path, target):
    unpack(write_zip(tmp_path / "mac.zip", [("__MACOSX/._a", b"1"), (".DS_Store", b"1"), ("a", b"1")]), target)
    assert files_under(target) == ["a"]


def test_the_root_is_the_outermost_folder_with_all_files(target):
    for name in ("x/y/train.tsv", "x/y/dev.tsv", "x/train.tsv"):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_text("")
    assert find_root(target, (("train.txt", "train.tsv"), ("dev.*",))) == target / "x" / "y"
    assert find_root(target, (("train.tsv",),)) == target / "x"
    assert find_root(target, (("test.tsv",),)) is None


def test_archives_are_known_by_their_names():
    assert [is_archive(name) for name in ("a.zip", "a.tar.gz", "a.TGZ", "vocab.txt", "a.gz")] == [
        True,
        True,
        True,
        False,
        False,
    ]
