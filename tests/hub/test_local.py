"""A model in an archive, on this disk or at an address, becomes a folder once, or nothing is left of it."""

import io
import os
import shutil
import tarfile
import zipfile

import pytest

from albert_zh.files import InputError
from albert_zh.hub import local
from albert_zh.hub.local import fetched, unpacked

PAGE = b"<!DOCTYPE html><html><body>Please log in</body></html>"


def packed(kind, members):
    """The bytes of an archive of ``members``, name to content."""
    memory = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(memory, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)
    else:
        with tarfile.open(fileobj=memory, mode="w:gz") as archive:
            for name, content in members.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return memory.getvalue()


def files_under(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def kept(home):
    """Files in the home but for locks, which are empty and stay."""
    return [name for name in files_under(home) if not name.endswith(".lock")] if home.exists() else []


@pytest.mark.parametrize("kind", ["zip", "tar.gz", "tgz", "TAR.GZ"])
def test_an_archive_on_this_disk_is_unpacked_once(kind, home, tmp_path, capsys):
    path = tmp_path / f"albert.{kind}"
    path.write_bytes(packed("zip" if kind == "zip" else "tar", {"model/a.index": b"1", "model/a.json": b"2"}))
    folder = unpacked(path)
    assert folder.parent == home / "unpacked"
    assert files_under(folder) == ["model/a.index", "model/a.json"]
    assert f"unpacked into {folder}" in capsys.readouterr().err
    (folder / "model" / "a.json").write_bytes(b"as it was left")
    assert unpacked(path) == folder
    assert (folder / "model" / "a.json").read_bytes() == b"as it was left", "a second call does not unpack again"
    assert capsys.readouterr().err == ""


def test_other_bytes_under_the_same_name_are_another_folder(home, tmp_path):
    path = tmp_path / "m.zip"
    folders = []
    for content in (b"1", b"2"):
        path.write_bytes(packed("zip", {"a.index": content}))
        folders.append(unpacked(path))
    assert [(folder / "a.index").read_bytes() for folder in folders] == [b"1", b"2"]


def test_an_archive_that_will_not_unpack_leaves_nothing(home, tmp_path):
    path = tmp_path / "m.zip"
    path.write_bytes(packed("zip", {"a.index": b"1", "b.index": b"2" * 5000})[:-300])
    with pytest.raises(InputError, match=r"m\.zip: damaged or not a zip file"):
        unpacked(path)
    assert kept(home) == []
    assert list((home / "unpacked").iterdir()) == []


def test_a_very_long_name_still_makes_a_folder(home, tmp_path):
    path = tmp_path / f"{'模' * 80}.zip"  # 240 bytes: with a digest and the marks of a temporary folder more than 255
    path.write_bytes(packed("zip", {"a.index": b"1"}))
    assert files_under(unpacked(path)) == ["a.index"]


def test_a_home_that_cannot_be_written_is_told_with_what_to_do(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("ALBERT_ZH_HOME", str(tmp_path / "file" / "home"))
    (tmp_path / "m.zip").write_bytes(packed("zip", {"a.index": b"1"}))
    with pytest.raises(InputError, match=r"cannot be written.*Set ALBERT_ZH_HOME to a folder you can write"):
        unpacked(tmp_path / "m.zip")


# ------------------------------------------------------------------------------------------------------------ addresses


@pytest.mark.parametrize(("name", "kind"), [("m.zip", "zip"), ("m.tar.gz", "tar"), ("m.tgz", "tar"), ("3", "tar")])
def test_an_address_is_fetched_and_unpacked_once(name, kind, web, home):
    web.files[f"/models/{name}"] = packed(kind, {"m/a.index": b"1"})
    folder = fetched(f"{web.address}/models/{name}")
    assert kept(home) == [f"unpacked/{folder.name}/m/a.index"], "the archive itself is gone"
    assert fetched(f"{web.address}/models/{name}") == folder
    assert web.asked == [f"/models/{name}"]


def test_a_module_of_tf_hub_is_asked_for_as_an_archive(web, home, monkeypatch):
    monkeypatch.setattr(local, "_HUB_HOST", web.address.removeprefix("http://"))
    asked = "/tensorflow/albert_x/3?tf-hub-format=compressed"
    web.files[asked] = packed("tar", {"saved_model.pb": b"1"})
    for address in ("/tensorflow/albert_x/3", asked):
        assert files_under(fetched(web.address + address)) == ["saved_model.pb"]
    assert web.asked == [asked], "the same module, whichever of the two was typed"


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/m.zip", PAGE, "an HTML page came instead of the file"),
        ("/m.html", PAGE, "an HTML page came instead of the file"),
        ("/m.tar.gz", b"version https://git-lfs", r"not a \.gz file"),
        ("/resolve/weights", b'{"error": "no such model"}', r"no archive came\. Give the address of a \.zip or"),
        ("/model.safetensors", b"\x08\0\0\0\0\0\0\0{}      ", r"no archive came\. Give the address of a \.zip or"),
        ("/m.zip", packed("zip", {"../a": b"1"}), "would be written outside the target"),
        ("/m.zip", packed("zip", {"a": b"1" * 999})[:-20], "damaged or not a zip file"),
        ("/none.zip", None, "could not be fetched .*404"),
        ("", PAGE, "could not be fetched .*HTML page"),
    ],
    ids=["page", "page.html", "pointer", "json", "weights", "hostile", "damaged", "404", "host-alone"],
)
def test_what_is_no_archive_is_refused_and_nothing_is_kept(path, body, said, web, home):
    if body is not None:
        web.files[path or "/"] = body
    with pytest.raises(InputError, match=said):
        fetched(web.address + path)
    assert kept(home) == []


def test_a_connection_that_breaks_every_time_is_given_up_with_advice(web, home):
    web.files["/m.zip"] = packed("zip", {"a.index": os.urandom(1000)})
    web.cut.add("/m.zip")
    waits = []
    with pytest.raises(InputError, match=r"m\.zip: could not be fetched .*4 times in a row.*by other means and give"):
        fetched(f"{web.address}/m.zip", wait=waits.append)
    assert waits == [1, 2, 4]
    web.cut.clear()
    assert files_under(fetched(f"{web.address}/m.zip")) == ["a.index"]


def test_a_server_that_is_not_there_is_told_at_once(web, home):
    web.shutdown()
    web.server_close()
    with pytest.raises(InputError, match=r"could not be fetched .*no connection"):
        fetched(f"{web.address}/m.zip", wait=lambda _: pytest.fail("nothing to wait for"))


def test_a_folder_thrown_away_is_fetched_anew(web, home):
    web.files["/m.zip"] = packed("zip", {"a.index": b"1"})
    folder = fetched(f"{web.address}/m.zip")
    shutil.rmtree(folder)
    assert files_under(fetched(f"{web.address}/m.zip")) == ["a.index"]
    assert len(web.asked) == 2
