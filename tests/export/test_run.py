"""An export is whole and answers as its model, or nothing of it is there and what was there before still is."""

import hashlib
import json
import shutil

import numpy as np
import pytest

from albert_zh.cli import main
from albert_zh.export import litert
from albert_zh.export.network import network_of
from albert_zh.export.options import ExportOptions
from albert_zh.export.run import run
from albert_zh.files import InputError
from albert_zh.serve.network import INPUTS

FILES = ["README.md", "model.json", "model.tflite", "tokenizer_vectors.json", "vocab.txt"]


def options(opened, folder, **changes):
    return ExportOptions(
        **{"model": str(opened.source.folder), "output_dir": str(folder), "to": "litert", "rows": 20} | changes
    )


@pytest.fixture
def quick(monkeypatch, lite):
    """Files converted before are copied, with a change of their bytes: ``quick(lambda content: …)``."""

    def install(change=lambda content: content):
        def write(opened, folder, options):
            made = lite(opened.source.folder, quantize=options.quantize, max_seq_length=options.max_seq_length)
            (folder / litert.FILE).write_bytes(change((made / litert.FILE).read_bytes()))

        monkeypatch.setattr(litert, "write", write)

    install()
    return install


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# Whole


def test_the_command_leaves_a_folder_with_all_that_using_the_model_takes(finished, tmp_path, capsys):
    opened = finished("lcqmc")
    folder = tmp_path / "new" / "lite"
    assert main(["export", str(opened.source.folder), "--to", "litert", f"--output_dir={folder}", "--rows=20"]) == 0
    assert names(folder) == FILES
    assert names(folder.parent) == ["lite"]
    assert (folder / "vocab.txt").read_bytes() == (opened.source.folder / "vocab.txt").read_bytes()
    content = (folder / "model.tflite").read_bytes()
    assert json.loads((folder / "model.json").read_text(encoding="utf-8"))["files"]["model.tflite"] == {
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    ids = np.array([[opened.tokenizer.cls_id, 9, 8, opened.tokenizer.sep_id]], np.int32)
    inputs = dict(zip(INPUTS, (ids, np.ones_like(ids), np.zeros_like(ids)), strict=True))
    np.testing.assert_allclose(
        litert.load(folder)(inputs)["logits"], np.asarray(network_of(opened)(inputs)["logits"]), atol=2e-5
    )
    said = capsys.readouterr().out
    assert "-> litert, float32, any length" in said
    assert "the same answer: 20 of 20 (100.00%)" in said
    assert len(content) < 1e5
    assert f"{len(content) / 1e3:.1f} kB" in said
    assert "20 sample rows of lcqmc: largest difference" in said


@pytest.mark.parametrize(
    ("name", "more", "changes"),
    [
        ("squad2", {}, {}),
        ("cluener", {"crf": True}, {}),
        ("cluener", {"crf": True}, {"max_seq_length": "22"}),  # rows as long as that, and no multiple of 8
        ("lcqmc", {}, {"quantize": "float16"}),
        ("lcqmc", {}, {"quantize": "dynamic"}),
    ],
)
def test_every_kind_is_written_and_agrees(name, more, changes, finished, quick, tmp_path):
    assert names(run(options(finished(name, **more), tmp_path / "lite", **changes))) == FILES


# Refused


def with_another_bias(opened):
    """A change of a file: the head's bias, which is somewhere in it, moved."""
    bias = np.asarray(opened.model.classifier.bias)
    assert bias.any()

    def change(content):
        assert content.count(bias.tobytes()) == 1
        return content.replace(bias.tobytes(), (bias + np.float32([0.01, 0])).tobytes())

    return change


def test_a_file_with_a_wrong_weight_is_refused_and_nothing_is_left(finished, quick, tmp_path):
    opened = finished("lcqmc")
    quick(with_another_bias(opened))
    with pytest.raises(
        InputError,
        match=r"not the model it was made from\. 20 sequences \(sample rows of lcqmc\): largest difference 1\.0e-02",
    ):
        run(options(opened, tmp_path / "lite"))
    assert not list(tmp_path.iterdir())


def test_a_refused_export_leaves_the_older_one_as_it_was(finished, quick, tmp_path):
    opened = finished("lcqmc")
    folder = run(options(opened, tmp_path / "lite"))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    quick(with_another_bias(opened))
    with pytest.raises(InputError, match="it is not the model"):
        run(options(opened, folder, overwrite=True))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert names(tmp_path) == ["lite"]


def test_a_file_that_gives_nan_is_refused(finished, quick, tmp_path):
    opened = finished("lcqmc")
    bias = np.asarray(opened.model.classifier.bias)
    quick(lambda content: content.replace(bias.tobytes(), np.float32([np.nan, 0]).tobytes()))
    with pytest.raises(InputError, match="in logits it gives NaN"):
        run(options(opened, tmp_path / "lite"))
    assert not list(tmp_path.iterdir())


def test_a_damaged_file_is_refused(finished, quick, tmp_path):
    quick(lambda content: content[:1000])
    with pytest.raises(InputError, match="LiteRT cannot read it"):
        run(options(finished("lcqmc"), tmp_path / "lite"))
    assert not list(tmp_path.iterdir())


# The folder


def test_an_export_is_replaced_only_when_told_to(finished, quick, tmp_path):
    opened = finished("lcqmc")
    folder = run(options(opened, tmp_path / "lite"))
    with pytest.raises(InputError, match=r"holds an export\. Name another, or replace it with --overwrite=true"):
        run(options(opened, folder))
    (folder / "old").write_text("left over", encoding="utf-8")
    with pytest.raises(InputError, match=r"holds other files than an export \(old\)"):
        run(options(opened, folder, overwrite=True))
    assert "old" in names(folder)
    (folder / "old").unlink()
    run(options(opened, folder, overwrite=True))
    assert names(folder) == FILES


def test_a_folder_of_other_things_is_never_replaced(finished, quick, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(InputError, match=r"holds other files than an export \(thesis\.txt\)\. Name a new folder"):
        run(options(finished("lcqmc"), tmp_path / "mine", overwrite=True))
    assert names(tmp_path / "mine") == ["thesis.txt"]


def test_the_model_s_own_folder_is_not_written_into(finished, quick, tmp_path):
    shutil.copytree(finished("lcqmc").source.folder, tmp_path / "model")
    before = names(tmp_path / "model")
    for overwrite in (False, True):
        with pytest.raises(InputError):
            run(ExportOptions(str(tmp_path / "model"), str(tmp_path / "model"), "litert", overwrite=overwrite))
    assert names(tmp_path / "model") == before


def test_a_file_in_the_way_is_not_replaced(finished, quick, tmp_path):
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match=r"a file, where a folder is to be written\. Name another folder"):
        run(options(finished("lcqmc"), tmp_path / "file", overwrite=True))


def test_an_empty_folder_is_filled(finished, quick, tmp_path):
    (tmp_path / "lite").mkdir()
    assert names(run(options(finished("lcqmc"), tmp_path / "lite"))) == FILES


# The model


def test_a_missing_model_is_one_line_and_no_folder(tmp_path, capsys):
    assert main(["export", str(tmp_path / "none"), "--to=litert", f"--output_dir={tmp_path / 'lite'}"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert str(tmp_path / "none") in said
    assert not list(tmp_path.iterdir())


def test_a_length_that_the_model_has_not_leaves_nothing(finished, tmp_path):
    with pytest.raises(InputError, match=r"--max_seq_length=65: the model has 64 positions"):
        run(options(finished("lcqmc"), tmp_path / "lite", max_seq_length="65"))
    assert not list(tmp_path.iterdir())
