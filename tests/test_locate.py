"""Whatever a user names as a model stands for one model's files, or is refused with what to name instead."""

import shutil
import stat
import tarfile
import zipfile

import numpy as np
import pytest

from albert_zh.convert import keras_file
from albert_zh.files import InputError
from albert_zh.hub import catalog, local
from albert_zh.hub.catalog import Download, Model
from albert_zh.layouts import save_pretrained
from albert_zh.locate import locate
from albert_zh.models.heads import AlbertForPretraining, AlbertModel
from albert_zh.pretrained import find, load, load_pretrained

NAME = "google_1group"
FILES = ["albert_config.json", "albert_model.ckpt.data-00000-of-00001", "albert_model.ckpt.index"]


def add_google_files(folder, golden):
    """A published archive's files: weights, JSON, and the ``checkpoint`` file of whoever trained it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        shutil.copy(golden / NAME / name, folder / name)
    (folder / "vocab_chinese.txt").write_text("[PAD]\n", encoding="utf-8")
    (folder / "checkpoint").write_text('model_checkpoint_path: "gs://somebody/other.ckpt"\n', encoding="utf-8")
    return folder


@pytest.fixture
def folder(golden, tmp_path):
    return add_google_files(tmp_path / "albert_base_x", golden)


def pack(folder, kind, *, nested=True, mac=False):
    """An archive of a folder beside it, as google's tar.gz (all in one folder) or, on a Mac, with its own files."""
    path = folder.with_name(f"{folder.name}.{kind}")
    members = [(f"{folder.name}/" if nested else "") + file.name for file in sorted(folder.iterdir())]
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for member, file in zip(members, sorted(folder.iterdir()), strict=True):
                archive.write(file, member)
                if mac:
                    archive.writestr(f"__MACOSX/{folder.name}/._{file.name}", b"\0\5\x16\7")
    else:
        with tarfile.open(path, "w:gz") as archive:
            for member, file in zip(members, sorted(folder.iterdir()), strict=True):
                archive.add(file, member)
    return path


def golden_numbers(model, golden):
    """Largest difference of a model's hidden states from the published code's."""
    expected = np.load(golden / NAME / "expected.npz")
    inputs = {key: expected[key].astype(np.int32) for key in ("input_ids", "input_mask", "segment_ids")}
    return np.abs(np.asarray(model(inputs)["sequence_output"]) - expected["sequence_output"]).max()


def left_in(home):
    """Files in the home but for locks, which are empty and stay."""
    return [path.name for path in home.rglob("*") if path.is_file() and path.suffix != ".lock"]


# --------------------------------------------------------------------------------------------------------- on this disk


def test_a_folder_a_prefix_and_each_file_of_a_checkpoint_stand_for_the_same_model(folder):
    prefix = folder / "albert_model.ckpt"
    for name in (folder, f"{folder}/", prefix, *(folder / file for file in FILES[1:]), f"{prefix}.meta"):
        located = locate(name)
        assert (located.stored.where, located.folder) == (str(prefix), folder), name


@pytest.mark.parametrize("layout", ["tf2", "huggingface", "keras", "savedmodel"])
def test_a_folder_and_its_file_stand_for_the_same_model_in_every_layout(layout, tiny_config, tmp_path):
    save_pretrained(AlbertForPretraining(tiny_config(family="google")), tmp_path / "m", layout=layout)
    file = {
        "tf2": "bert_model.ckpt-1",
        "huggingface": "model.safetensors",
        "keras": keras_file.FILE,
        "savedmodel": "saved_model.pb",
    }[layout]
    by_folder, by_file = locate(tmp_path / "m"), locate(tmp_path / "m" / file)
    assert by_folder.stored.layout == by_file.stored.layout == layout
    assert by_folder.stored.shapes == by_file.stored.shapes
    assert by_folder.folder == by_file.folder == tmp_path / "m"
    assert locate(tmp_path).folder == tmp_path / "m", "the one folder below that holds a model"


def test_a_home_folder_is_written_with_a_tilde(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent))
    assert locate(f"~/{folder.name}").folder == folder


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("zip", {"nested": False}),
        ("zip", {"mac": True}),
        ("tar.gz", {}),
        ("tgz", {"nested": False}),
    ],
    ids=["zip", "zip-of-a-mac", "tar.gz-in-one-folder", "tgz"],
)
def test_an_archive_loads_like_the_folder_it_holds(kind, options, folder, golden, home):
    archive = pack(folder, kind, **options)
    shutil.rmtree(folder)
    said = []
    model = load_pretrained(archive, say=said.append)
    assert golden_numbers(model, golden) < 1e-5
    assert "32 arrays loaded" in said[0]
    source = find(archive)
    assert source.folder.is_relative_to(home / "unpacked")
    assert [path.name for path in source.vocabularies] == ["vocab_chinese.txt"]


def test_the_same_archive_is_not_unpacked_again(folder, home, capsys):
    archive = pack(folder, "zip")
    first = find(archive)
    assert "unpacked into" in capsys.readouterr().err
    (first.folder / "albert_config.json").rename(first.folder / "albert_config_mine.json")
    assert find(archive).folder == first.folder
    assert (first.folder / "albert_config_mine.json").exists()
    assert "unpacked" not in capsys.readouterr().err


# -------------------------------------------------------------------------------------------------------------- hostile


def hostile_names(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../albert_model.ckpt.index", b"x")


def hostile_link(path):
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("albert_model.ckpt.index")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")


def hostile_bomb(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("albert_model.ckpt.index", bytes(20 << 20))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (hostile_names, "would be written outside the target"),
        (hostile_link, "is a link or a device"),
        (hostile_bomb, "unpacks to more than"),
    ],
)
def test_a_hostile_archive_is_refused_and_leaves_nothing(make, said, home, tmp_path):
    make(tmp_path / "m.zip")
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(InputError, match=said):
        load_pretrained(tmp_path / "m.zip")
    assert left_in(home) == []
    assert {path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".lock"} == before


# ---------------------------------------------------------------------------------------------------------- by its name


@pytest.fixture
def published(folder, web, home, monkeypatch):
    """A row of the catalogue behind ``web``; its name."""
    web.files["/zh/albert_x.tar.gz"] = pack(folder, "tar.gz").read_bytes()
    downloads = (Download((f"{web.address}/zh/albert_x.tar.gz",)),)
    row = Model("albert_x_zh", "google", "base", "tf1", downloads, (("*.index",), ("*.json",)), "none stated")
    monkeypatch.setitem(catalog.MODELS, row.name, row)
    monkeypatch.chdir(folder.parent)
    return row.name


def test_a_name_of_the_catalogue_is_fetched_into_the_home_once(published, web, home, golden):
    for _ in range(2):
        model = load_pretrained(published, say=lambda _: None)
        assert golden_numbers(model, golden) < 1e-5
    assert find(published).folder == home / "models" / published / "albert_base_x"
    assert web.asked == ["/zh/albert_x.tar.gz"]


def test_an_existing_folder_wins_over_a_name_of_the_catalogue(published, web, golden, tmp_path):
    add_google_files(tmp_path / published, golden)
    assert str(find(published).folder) == published
    assert web.asked == []


def test_the_page_of_a_model_on_hugging_face_stands_for_its_name(published, web, monkeypatch):
    monkeypatch.setitem(catalog.MODELS, "somebody/albert_x_zh", catalog.MODELS[published])
    for page in ("https://huggingface.co/somebody/albert_x_zh", "https://hf-mirror.com/somebody/albert_x_zh/"):
        assert locate(page).folder.name == "albert_base_x"
    assert web.asked == ["/zh/albert_x.tar.gz"]


def test_an_address_of_an_archive_loads(published, web, golden, home):
    model = load_pretrained(f"{web.address}/zh/albert_x.tar.gz", say=lambda _: None)
    assert golden_numbers(model, golden) < 1e-5
    assert left_in(home) != []


def test_an_address_on_tf_hub_loads_the_saved_model_behind_it(web, home, tiny_config, tmp_path, monkeypatch):
    monkeypatch.setattr(local, "_HUB_HOST", web.address.removeprefix("http://"))
    model = AlbertModel(tiny_config(num_hidden_layers=1), seed=3)
    save_pretrained(model, tmp_path / "m", layout="savedmodel")
    with tarfile.open(tmp_path / "m.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "m", ".")  # a module lies at the top of its archive
    web.files["/tensorflow/albert_x/3?tf-hub-format=compressed"] = (tmp_path / "m.tar.gz").read_bytes()
    source = find(f"{web.address}/tensorflow/albert_x/3")
    assert (source.stored.layout, source.config) == ("savedmodel", model.config)
    twin, _ = load(source, bare=True)
    np.testing.assert_array_equal(twin.encoder.embeddings.word, model.encoder.embeddings.word)


# ------------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("albert_tiny_hz", r"albert_tiny_hz: no checkpoint there: .*Did you mean albert_tiny_zh"),
        ("ALBERT_TINY_ZH", "Did you mean albert_tiny_zh or"),
        ("albert_chinese_tiny", r"Did you mean .*voidful/albert_chinese_tiny"),
        ("voidful/albert_chinese_tinny", "Did you mean voidful/albert_chinese_tiny or"),
        ("lcqmc", "lcqmc: a data set of the catalogue, where a model is needed"),
        ("none/albert_model.ckpt", r"no such file or folder, no none/albert_model\.ckpt\.index, no name"),
        ("none.zip", r"none\.zip: no checkpoint there: no such file"),
        ("none.ckpt.index", "no checkpoint there"),
        ("gs://albert_zh/albert_tiny.zip", r"addresses other than http:// and https:// are not fetched"),
        ("", "no model was named"),
    ],
)
def test_what_is_nowhere_is_refused_with_the_nearest_names_and_what_may_be_named(name, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=said) as caught:
        locate(name)
    assert "Give " in str(caught.value)


def test_a_data_set_is_never_offered_for_a_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        locate("lcqmcc")
    assert "Did you mean" not in str(caught.value)


@pytest.mark.parametrize("name", ["albert_config.json", "vocab_chinese.txt", "checkpoint", "model.rar"])
def test_a_file_of_another_kind_is_refused_with_the_kinds_there_are(name, folder):
    (folder / "model.rar").write_bytes(b"Rar!")
    with pytest.raises(InputError, match=rf"{name}: no model's file \(\.index, .*saved_model\.pb\) and no archive"):
        locate(folder / name)


def test_a_folder_without_a_model_and_one_with_several_below_are_refused(golden, tmp_path):
    with pytest.raises(InputError, match=r"no checkpoint there: no \.index, model\.safetensors.*\.keras or saved_mod"):
        locate(tmp_path)
    for name in ("tiny", "base"):
        add_google_files(tmp_path / name, golden)
    with pytest.raises(InputError, match=r"several models lie in folders below it \(base, tiny\)\. Name one"):
        locate(tmp_path)
    (tmp_path / "notes").mkdir()
    shutil.rmtree(tmp_path / "tiny")
    assert locate(tmp_path).folder == tmp_path / "base"


def test_models_of_several_layouts_in_one_folder_are_to_be_named(folder, tiny_config):
    keras_file.write(AlbertForPretraining(tiny_config()), folder)
    with pytest.raises(InputError, match=r"models of several layouts \(\.index, \.keras\)\. Name the file of one"):
        locate(folder)
    assert locate(folder / keras_file.FILE).stored.layout == "keras"
    assert locate(folder / "albert_model.ckpt").stored.layout == "tf1"
    shutil.copy(folder / keras_file.FILE, folder / "other.keras")
    with pytest.raises(InputError, match=r"several files could be meant: model\.keras, other\.keras"):
        locate(folder)


def test_two_checkpoints_of_the_garden_in_one_folder_are_to_be_named(golden):
    with pytest.raises(InputError, match=r"several checkpoints \(bert_model\.ckpt-1, encoder_bert_model\.ckpt-1\)"):
        locate(golden / "tf2_garden")


def test_a_saved_model_s_config_and_vocabulary_lie_beside_it_or_among_its_assets(tiny_config, tmp_path):
    model = AlbertForPretraining(tiny_config())
    (tmp_path / "vocab.txt").write_text("[PAD]\n", encoding="utf-8")
    folder = tmp_path / "m"
    save_pretrained(model, folder, layout="savedmodel", vocabulary=tmp_path / "vocab.txt")
    assert find(folder).vocabularies == (folder / "vocab.txt",)
    (folder / "vocab.txt").unlink()
    shutil.move(folder / "albert_config.json", folder / "assets")
    source = find(folder)
    assert source.config == model.config
    assert source.vocabularies == (folder / "assets" / "vocab.txt",)
