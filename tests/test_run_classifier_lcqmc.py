"""run_classifier_lcqmc.sh as it is typed, with a network shrunk by its own flags."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from albert_zh.cli import CHECKOUT
from albert_zh.config import AlbertConfig
from albert_zh.layouts import save_pretrained
from albert_zh.models.heads import AlbertForPretraining


def lcqmc(*words, cwd, **variables):
    return subprocess.run(
        ["bash", os.path.join(CHECKOUT, "run_classifier_lcqmc.sh"), *map(str, words)],
        cwd=cwd,
        env={**os.environ, "ALBERT_ZH_PYTHON": sys.executable, **variables},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def metrics(folder):
    return json.loads((folder / "metrics.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pretrained") / "model"
    config = AlbertConfig.from_json(Path(CHECKOUT) / "albert_config" / "albert_config_tiny.json")
    config = config.replace(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    model = AlbertForPretraining(config.replace(embedding_size=4))
    save_pretrained(model, folder, vocabulary=Path(CHECKOUT) / "albert_config" / "vocab.txt")
    return folder


def test_the_shipped_rows_are_trained_scored_and_answered(tmp_path, model_dir):
    done = lcqmc("--sample", "--model_dir", model_dir, "--num_train_epochs=0.02", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "output" / "lcqmc_sample"
    assert (folder / "task.json").exists()
    assert metrics(folder)["steps"] == 1
    count = len((Path(CHECKOUT) / "data" / "lcqmc" / "test.txt").read_text(encoding="utf-8").splitlines())
    assert metrics(folder)["test"]["rows"] == count
    assert len((folder / "lcqmc_predict.tsv").read_text().splitlines()) == count + 1
    assert "character overlap" in done.stdout


def test_rows_and_model_of_one_s_own_are_swept_with_flags_of_one_s_own(tmp_path, model_dir, toy):
    flags = ("--num_train_epochs=0.1", "--max_seq_length=16", "--learning_rates=1e-3,1e-5", "--output_dir=mine")
    done = lcqmc(f"--data_dir={toy / 'pairs'}", f"--model_dir={model_dir}", "--sweep", *flags, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert set(metrics(tmp_path / "mine")["sweep"]) == {"0.001", "1e-05"}
    assert metrics(tmp_path / "mine")["settings"]["max_seq_length"] == 16
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_without_a_network_one_screen_says_what_to_fetch_and_where_to_put_it(tmp_path):
    closed = "http://127.0.0.1:9"  # the discard port: nobody listens
    variables = {"ALBERT_ZH_HOME": str(tmp_path / "home"), "https_proxy": closed, "http_proxy": closed}
    done = lcqmc(cwd=tmp_path, **variables)
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert len(lines) <= 30
    for word in ("lcqmc.zip", "albert_tiny.zip", "--data_dir", "--model_dir", str(tmp_path / "home"), "md5"):
        assert word in done.stderr
    assert not (tmp_path / "output").exists()
