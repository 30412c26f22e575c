"""Reading names file and line; what is written is there whole or not at all."""

import errno
import os
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from albert_zh import files
from albert_zh.files import (
    MAX_LINE_BYTES,
    InputError,
    atomic_folder,
    atomic_writer,
    expand_paths,
    locked,
    read_json,
    read_json_lines,
    read_lines,
    read_tsv,
    sha256,
    write_json,
)


def listing(folder):
    return sorted(path.name for path in folder.iterdir())


def fill_then_raise(stream, error):
    stream.write("half")
    raise error


def failing(error_number):
    def fail(*_, **__):
        raise OSError(error_number, os.strerror(error_number))

    return fail


# ---------------------------------------------------------------------------------------------------------------- names


def test_names_commas_and_patterns_give_each_file_once_in_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("b.txt", "a.txt", "c.txt", "d.tsv"):
        (tmp_path / name).write_text("x", encoding="utf-8")
    assert [str(path) for path in expand_paths(["c.txt,d.tsv", "*.txt"])] == ["c.txt", "d.tsv", "a.txt", "b.txt"]
    assert expand_paths([tmp_path / "a.txt"]) == [tmp_path / "a.txt"]


def test_a_file_whose_name_looks_like_a_pattern_is_itself(tmp_path):
    (tmp_path / "a[1].txt").write_text("x", encoding="utf-8")
    assert expand_paths([str(tmp_path / "a[1].txt")]) == [tmp_path / "a[1].txt"]


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        (["none.txt"], "none.txt: no such file"),
        (["*.none"], r"\*.none: no such file"),
        (["a.txt", "none.txt"], "none.txt: no such file"),
        (["folder"], "folder: is a folder, not a file"),
        ([], "no input file was named"),
        ([""], "no input file was named"),
        ([","], "no input file was named"),
    ],
)
def test_a_name_that_matches_no_file_is_refused(patterns, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("x", encoding="utf-8")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=message):
        expand_paths(patterns)


# -------------------------------------------------------------------------------------------------------------- reading


@given(st.lists(st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"]), max_size=20)))
def test_lines_come_back_with_their_numbers_from_one(tmp_path_factory, lines):
    lines = [line.lstrip("\ufeff") for line in lines]
    path = tmp_path_factory.mktemp("lines") / "text.txt"
    path.write_bytes("".join(line + "\n" for line in lines).encode())
    assert list(read_lines(path)) == list(enumerate(lines, 1))


def test_line_ends_of_any_system_and_a_byte_order_mark_are_left_out(tmp_path):
    path = tmp_path / "text.txt"
    path.write_bytes("\ufeff一行\r\n二行\n\n末行".encode())
    assert list(read_lines(path)) == [(1, "一行"), (2, "二行"), (3, ""), (4, "末行")]


def test_bytes_that_are_not_utf8_are_named_by_file_line_byte_and_the_cure(tmp_path):
    path = tmp_path / "gb.txt"
    path.write_bytes("好\n".encode() + "研究".encode("gb18030") + b"\n")
    with pytest.raises(InputError, match=r"gb\.txt:2: not UTF-8 \(byte 0xd1 at 0\).*iconv -f GB18030"):
        list(read_lines(path))


def test_a_giant_line_is_refused_before_it_is_read_whole(tmp_path):
    path = tmp_path / "giant.txt"
    path.write_bytes(b"good\n" + b"x" * (3 * MAX_LINE_BYTES))
    with pytest.raises(InputError, match=r"giant\.txt:2: the line is longer than 1,048,576 bytes"):
        list(read_lines(path))


@pytest.mark.parametrize(("name", "reason"), [("none.txt", "No such file"), ("folder", "Is a directory")])
def test_what_cannot_be_opened_is_named_with_the_reason(name, reason, tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=rf"{name}: cannot be read: {reason}"):
        list(read_lines(tmp_path / name))


def test_tsv_rows_keep_empty_columns_and_blank_lines_are_passed_over(tmp_path):
    path = tmp_path / "rows.tsv"
    path.write_text("a\t\tc\n\n  \nd\te\t\n", encoding="utf-8")
    assert list(read_tsv(path)) == [(1, ["a", "", "c"]), (4, ["d", "e", ""])]


def test_json_lines_are_objects_and_the_bad_line_is_named(tmp_path):
    path = tmp_path / "rows.json"
    path.write_text('{"a": 1}\n\n{"a": "二"}\n', encoding="utf-8")
    assert list(read_json_lines(path)) == [(1, {"a": 1}), (3, {"a": "二"})]
    path.write_text('{"a": 1}\n{"a": }\n', encoding="utf-8")
    with pytest.raises(InputError, match=r"rows\.json:2: not JSON \(Expecting value at column 7\)"):
        list(read_json_lines(path))
    path.write_text('{"a": 1}\n[1]\n', encoding="utf-8")
    with pytest.raises(InputError, match=r"rows\.json:2: a JSON list, not an object"):
        list(read_json_lines(path))


@pytest.mark.parametrize(
    ("text", "line"),
    [("", 1), ("{", 1), ('{\n"a": 1,\n"b" 2}', 3), ("[1]\n[2]", 2)],
    ids=["empty", "cut", "key", "two"],
)
def test_a_file_that_is_no_json_is_named_by_its_line(text, line, tmp_path):
    path = tmp_path / "value.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=rf"value\.json:{line}: not JSON"):
        read_json(path)


def test_a_json_value_read_back_is_the_one_written_and_stays_legible(tmp_path):
    value = {"任务": ["一", 2, 3.5, None, True]}
    write_json(tmp_path / "deep" / "value.json", value)
    assert read_json(tmp_path / "deep" / "value.json") == value
    assert "任务" in (tmp_path / "deep" / "value.json").read_text(encoding="utf-8")


def test_sha256_is_that_of_the_bytes(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


# -------------------------------------------------------------------------------------------------------------- writing


@pytest.mark.parametrize(("mode", "content"), [("w", "研究\n"), ("wb", b"\x00\r\n")])
def test_a_written_file_holds_exactly_what_was_written(tmp_path, mode, content):
    with atomic_writer(tmp_path / "new" / "out", mode) as stream:
        stream.write(content)
    assert (tmp_path / "new" / "out").read_bytes() == (content if mode == "wb" else content.encode())
    assert listing(tmp_path / "new") == ["out"]


def test_a_file_has_the_rights_that_the_umask_gives(tmp_path):
    before = os.umask(0o027)
    try:
        write_json(tmp_path / "out", 1)
        with atomic_folder(tmp_path / "folder"):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o750


@pytest.mark.parametrize("error", [ValueError("bad row"), KeyboardInterrupt()])
def test_a_file_whose_writing_fails_stays_as_it_was(tmp_path, error):
    (tmp_path / "old").write_text("old", encoding="utf-8")
    for name in ("old", "new"):
        with pytest.raises(type(error)), atomic_writer(tmp_path / name) as stream:
            fill_then_raise(stream, error)
    assert listing(tmp_path) == ["old"]
    assert (tmp_path / "old").read_text(encoding="utf-8") == "old"


def test_nobody_sees_a_file_before_it_is_complete(tmp_path):
    with atomic_writer(tmp_path / "out") as stream:
        stream.write("x")
        stream.flush()
        assert not (tmp_path / "out").exists()
    with atomic_folder(tmp_path / "folder") as temporary:
        (temporary / "a").write_text("x", encoding="utf-8")
        assert not (tmp_path / "folder").exists()
    assert listing(tmp_path) == ["folder", "out"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.EIO, "disk reports an error"),
        (errno.ENOSPC, "disk is full"),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "permission"),
    ],
)
def test_a_full_disk_leaves_the_old_file_and_says_so(tmp_path, monkeypatch, call, number, reason):
    (tmp_path / "out").write_text("old", encoding="utf-8")
    monkeypatch.setattr(files.os, call, failing(number))
    with (
        pytest.raises(InputError, match=rf"out: cannot be written: .*{reason}"),
        atomic_writer(tmp_path / "out") as stream,
    ):
        stream.write("new")
    assert listing(tmp_path) == ["out"]
    assert (tmp_path / "out").read_text(encoding="utf-8") == "old"


def test_an_error_that_has_no_advice_comes_through_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(files.os, "fsync", failing(errno.EBADF))
    with pytest.raises(OSError, match="Bad file descriptor") as caught, atomic_writer(tmp_path / "out"):
        pass
    assert not isinstance(caught.value, InputError)
    assert listing(tmp_path) == []


def test_a_file_where_a_folder_is_needed_and_a_folder_where_a_file_is_needed_are_refused(tmp_path):
    (tmp_path / "file").write_text("old", encoding="utf-8")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "kept").write_text("old", encoding="utf-8")
    for write, name in ((atomic_writer, "file/out"), (atomic_folder, "file/out"), (atomic_writer, "folder")):
        with pytest.raises(InputError, match=f"{name}: cannot be written"), write(tmp_path / name):
            pass
    with pytest.raises(InputError, match="file: cannot be written"), atomic_folder(tmp_path / "file"):
        pass
    assert listing(tmp_path) == ["file", "folder"]
    assert listing(tmp_path / "folder") == ["kept"]
    assert (tmp_path / "file").read_text(encoding="utf-8") == "old"


def test_a_folder_replaces_the_older_one_whole(tmp_path):
    for name in ("a", "b"):
        with atomic_folder(tmp_path / "deep" / "out") as temporary:
            (temporary / "inner").mkdir()
            (temporary / "inner" / name).write_text(name, encoding="utf-8")
    assert listing(tmp_path / "deep") == ["out"]
    assert listing(tmp_path / "deep" / "out" / "inner") == ["b"]


@pytest.mark.parametrize("error", [ValueError("bad row"), KeyboardInterrupt(), OSError(errno.ENOSPC, "full")])
def test_a_folder_whose_filling_fails_stays_as_it_was(tmp_path, error):
    with atomic_folder(tmp_path / "old") as temporary:
        (temporary / "a").write_text("old", encoding="utf-8")
    expected = InputError if isinstance(error, OSError) else type(error)
    for name in ("old", "new"):
        with pytest.raises(expected), atomic_folder(tmp_path / name) as temporary, open(temporary / "a", "w") as stream:
            fill_then_raise(stream, error)
    assert listing(tmp_path) == ["old"]
    assert (tmp_path / "old" / "a").read_text(encoding="utf-8") == "old"


@pytest.mark.parametrize("failing_call", [1, 2])
def test_an_old_folder_is_kept_whichever_rename_fails(tmp_path, monkeypatch, failing_call):
    with atomic_folder(tmp_path / "out") as temporary:
        (temporary / "a").write_text("old", encoding="utf-8")
    replace, calls = os.replace, []

    def sometimes(source, target):
        calls.append(target)
        if len(calls) == failing_call:
            raise OSError(errno.ENOSPC, "full")
        return replace(source, target)

    monkeypatch.setattr(files.os, "replace", sometimes)
    with pytest.raises(InputError, match="disk is full"), atomic_folder(tmp_path / "out") as temporary:
        (temporary / "a").write_text("new", encoding="utf-8")
    assert listing(tmp_path) == ["out"]
    assert (tmp_path / "out" / "a").read_text(encoding="utf-8") == "old"


def test_a_full_disk_at_the_last_sync_leaves_the_old_folder(tmp_path, monkeypatch):
    with atomic_folder(tmp_path / "out") as temporary:
        (temporary / "a").write_text("old", encoding="utf-8")
    monkeypatch.setattr(files.os, "fsync", failing(errno.ENOSPC))
    with pytest.raises(InputError, match="disk is full"), atomic_folder(tmp_path / "out") as temporary:
        (temporary / "a").write_text("new", encoding="utf-8")
    assert listing(tmp_path) == ["out"]
    assert (tmp_path / "out" / "a").read_text(encoding="utf-8") == "old"


# ---------------------------------------------------------------------------------------------------------------- locks


def test_a_lock_keeps_others_out_until_its_block_ends(tmp_path):
    def refuse():
        raise InputError("busy")

    lock = tmp_path / "new" / "lock"
    for _ in range(2):
        with locked(lock, refuse, "Go"), pytest.raises(InputError, match="busy"), locked(lock, refuse, "Go"):
            pass
    with pytest.raises(BlockingIOError), locked(lock, refuse, "Go"):
        raise BlockingIOError("of the block, not of the lock")


def test_a_lock_that_cannot_be_made_names_the_folder_and_the_advice(tmp_path):
    (tmp_path / "file").touch()
    refused = pytest.raises(InputError, match=r"file: cannot be written: .*\. Name another\.")
    with refused, locked(tmp_path / "file" / "lock", lambda: None, "Name another"):
        pass
