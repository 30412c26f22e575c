"""What a run may start from: a model of any layout, in an archive, or of another size with a warm start."""

import contextlib
import io
import json
import re
import shutil
import zipfile

import numpy as np
import pytest

from albert_zh.cli import main
from albert_zh.config import AlbertConfig
from albert_zh.convert.tensorflow1 import read_checkpoint
from albert_zh.files import InputError
from albert_zh.layouts import LAYOUTS, save_pretrained
from albert_zh.models.heads import AlbertForPretraining
from albert_zh.pretrained import find, load
from albert_zh.training import pretraining


@pytest.fixture(scope="module")
def start(tmp_path_factory, toy):
    """A pretrained folder of the google family with the toy's vocabulary."""
    folder = tmp_path_factory.mktemp("start") / "model"
    config = AlbertConfig.from_json(toy / "albert_config.json").replace(family="google", embedding_size=8)
    save_pretrained(AlbertForPretraining(config, seed=4), folder, vocabulary=toy / "vocab.txt")
    return folder


def weights(folder):
    return read_checkpoint(folder / "albert_model.ckpt")


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name], err_msg=name)


def test_fine_tuning_gives_the_same_from_every_layout_and_from_an_archive(start, tmp_path, finetune_flags, monkeypatch):
    monkeypatch.setenv("ALBERT_ZH_HOME", str(tmp_path / "home"))

    def finetune(name, init, **changes):
        flags = finetune_flags(
            tmp_path / name, **{"num_train_epochs": 0.5, "bert_config_file": None, "vocab_file": None, **changes}
        )
        assert main(["finetune", *flags, init]) == 0
        return weights(tmp_path / name)

    expected = finetune("plain", f"--init_checkpoint={start}")
    for layout in LAYOUTS:
        folder = tmp_path / f"start_{layout}"
        save_pretrained(load(find(start))[0], folder, vocabulary=start / "vocab.txt", layout=layout)
        # Under the name the earlier runner had for a SavedModel, too.
        flag = "--hub_module_url" if layout == "savedmodel" else "--init_checkpoint"
        assert_same(expected, finetune(layout, f"{flag}={folder}"))
    with zipfile.ZipFile(tmp_path / "m.zip", "w") as archive:
        for file in start.iterdir():
            archive.write(file, f"albert_tiny/{file.name}")
    assert_same(expected, finetune("zip", f"--init_checkpoint={tmp_path / 'm.zip'}"))


def test_pretraining_goes_on_with_a_hugging_face_folder(tmp_path, pretrain_options):
    options = pretrain_options(tmp_path / "a", num_train_steps=1)
    config = AlbertConfig.from_json(options.bert_config_file).replace(family="google")
    model = AlbertForPretraining(config, seed=4)
    results = []
    for layout in ("tf1", "huggingface"):
        save_pretrained(model, tmp_path / layout, layout=layout)
        folder = tmp_path / f"out_{layout}"
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            pretraining.run(
                pretrain_options(folder, num_train_steps=2, init_checkpoint=str(tmp_path / layout), bert_config_file="")
            )
        assert "32 arrays loaded" in printed.getvalue()
        results.append(weights(folder))
    assert_same(*results)


def test_untied_layers_start_from_the_shared_ones_and_then_go_their_own_ways(tmp_path, pretrain_options, capsys):
    options = pretrain_options(tmp_path / "out", num_train_steps=2)
    config = AlbertConfig.from_json(options.bert_config_file).replace(family="google", num_hidden_layers=3)
    save_pretrained(AlbertForPretraining(config, seed=4), tmp_path / "shared")
    config.replace(num_hidden_groups=3).to_json(tmp_path / "untied.json")
    changes = {"init_checkpoint": str(tmp_path / "shared"), "bert_config_file": str(tmp_path / "untied.json")}
    with pytest.raises(InputError, match=r"google checkpoint without bert/encoder/transformer/group_1/"):
        pretraining.run(pretrain_options(tmp_path / "refused", **changes))
    pretraining.run(pretrain_options(tmp_path / "out", num_train_steps=2, warm_start=True, **changes))
    said = capsys.readouterr().out
    assert re.search(r"albert_model\.ckpt: 64 arrays loaded", said)
    assert "freshly initialised" not in said
    trained = weights(tmp_path / "out")
    kernels = [
        trained[f"bert/encoder/transformer/group_{n}/inner_group_0/ffn_1/intermediate/dense/kernel"] for n in range(3)
    ]
    assert find(tmp_path / "out").config.num_hidden_groups == 3
    assert all(np.abs(kernels[0] - other).max() > 1e-6 for other in kernels[1:])
    # A run with and one without it are two runs.
    assert json.loads((tmp_path / "out" / "run.json").read_text())["warm_start"] is True


def test_a_classifier_of_the_other_family_starts_warm(start, toy, tmp_path, finetune_flags, capsys):
    flags = finetune_flags(tmp_path / "out", num_train_epochs=0.5, vocab_file=None)
    refused = main(["finetune", *flags, f"--init_checkpoint={start}", "--warm_start=true", "--bert_config_file="])
    assert refused == 2
    assert "--warm_start: needs" in capsys.readouterr().err
    assert main(["finetune", *flags, f"--init_checkpoint={start}", "--warm_start=true"]) == 0
    assert find(tmp_path / "out").config.family == "brightmart"
    said = capsys.readouterr().out
    assert "freshly initialised" in said
    # And the finished folder is a plain one.
    shutil.copytree(tmp_path / "out", tmp_path / "copy")
    assert load(find(tmp_path / "copy"))[1].missing == ()
