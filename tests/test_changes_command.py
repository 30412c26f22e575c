"""``changes``: its numbers are those of the arithmetic, its pair comes from the text, its lines fit a terminal."""

from __future__ import annotations

import subprocess
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from albert_zh import changes
from albert_zh.changes import WIDTH, ChangesOptions, choose_pair, config_table, order_lines, run
from albert_zh.cli import CHECKOUT, main
from albert_zh.config import AlbertConfig
from albert_zh.files import InputError
from albert_zh.models import parameters
from albert_zh.text.tokenizer import load_tokenizer
from albert_zh.text.words import make_segmenter

SHIPPED = Path(CHECKOUT) / "albert_config"
CONFIGS = sorted(SHIPPED.glob("albert_config_*.json"))
TEXT = "图书馆昨天开门了。\n读者从早上就来排队。\n\n下雨。\n"


@pytest.fixture(scope="module")
def tools():
    return load_tokenizer(SHIPPED / "vocab.txt"), make_segmenter()


@pytest.fixture
def text_file(tmp_path):
    path = tmp_path / "own.txt"
    path.write_text(TEXT, encoding="utf-8")
    return str(path)


def printed(capsys, *words: str) -> str:
    assert main(["changes", *words]) == 0
    return capsys.readouterr().out


def columns(line: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in line)


def test_the_numbers_are_those_of_the_sizes_given(capsys):
    out = printed(capsys, "--hidden_size=1024", "--intermediate_size=3072", "--num_hidden_layers=12")
    assert "125,976,576" in out
    assert "10,498,048" in out
    assert "12.0 times fewer" in out
    out = printed(capsys, "--vocab_size=30000", "--hidden_size=4096", "--embedding_size=128")
    assert f"{30000 * 4096:,}" in out
    assert f"{30000 * 128 + 128 * 4096:,}" in out
    assert "V 30000, E 128, H 4096" in out


@pytest.mark.parametrize("flag", ["bert_config_file", "albert_config_file"])
def test_a_config_is_named_under_both_names(flag, capsys):
    config = SHIPPED / "albert_config_large_google.json"
    out = printed(capsys, f"--{flag}={config}")
    assert "google family, V 21128, E 128, H 1024, feed-forward 4096, 24 layers" in out
    assert f"{parameters.bert_encoder(AlbertConfig.from_json(config)):,}" in out
    assert f"{21128 * 128 + 128 * 1024 + 1024:,}" in out, "google's projection has a bias"


def test_a_size_that_gains_nothing_says_so(capsys):
    out = printed(capsys, f"--bert_config_file={SHIPPED / 'albert_config_nano_google.json'}", "--num_hidden_layers=1")
    assert out.count("nothing saved at this size") == 3


def test_the_table_has_every_shipped_config_with_its_parameters_and_file_size(capsys):
    rows = {line.split()[0]: line.split() for line in printed(capsys).splitlines() if line.split()}
    for path in CONFIGS:
        config, row = AlbertConfig.from_json(path), rows[path.stem.removeprefix("albert_config_")]
        assert row[1] == config.family
        assert row[5] == f"{parameters.encoder(config):,}"
        assert row[6] == f"{parameters.pretraining(config):,}"
        assert float(row[7]) == pytest.approx(4 * parameters.pretraining(config) / 1e6, abs=0.05)


def test_families_stand_together_and_small_networks_first():
    table = config_table({path: AlbertConfig.from_json(path) for path in CONFIGS})
    order = [line.split()[0] for line in table[1 : len(CONFIGS) + 1]]
    sizes = ["tiny", "small", "base", "large", "xlarge", "xxlarge"]
    assert order[:6] == sizes
    assert order[6:13] == [f"{size}_google" for size in ("nano", *sizes)]
    assert order[13:15] == ["base_v1", "base_v2"]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("size", ["tiny", "base", "xxlarge_google"])
def test_no_line_is_wider_than_a_terminal(seed, size, capsys):
    lines = printed(
        capsys,
        f"--seed={seed}",
        f"--input_file={CHECKOUT}/data/*.txt",
        f"--bert_config_file={SHIPPED}/albert_config_{size}.json",
    ).splitlines()
    # A path is as long as it is.
    assert [line for line in lines if columns(line) > WIDTH and CHECKOUT not in line] == []


def test_the_pair_is_shown_in_order_and_swapped(text_file, tools):
    path, text, pair = choose_pair([text_file], *tools, np.random.default_rng(0))
    assert str(path) == text_file
    lines = order_lines(text, pair, *tools)
    first, second = (line.strip() for line in lines[3:5])
    assert (first, second) == ("[CLS] 图书馆 昨天 开门 了 。 [SEP]", "读者 从 早上 就 来 排队 。 [SEP]")
    assert lines[2].strip() == "in order, label 0:"
    assert lines[6].strip() == "swapped, label 1:"
    assert [line.strip() for line in lines[7:9]] == [
        "[CLS] 读者 从 早上 就 来 排队 。 [SEP]",
        "图书馆 昨天 开门 了 。 [SEP]",
    ]


def test_the_seed_chooses_the_pair(tools):
    shipped = [f"{CHECKOUT}/data/*.txt"]
    pairs = [choose_pair(shipped, *tools, np.random.default_rng(seed))[2] for seed in (1, 1, 2, 3)]
    assert pairs[0] == pairs[1]
    assert len(set(pairs)) > 1


def test_a_long_text_is_read_at_its_beginning_only(tmp_path, tools, monkeypatch):
    monkeypatch.setattr(changes, "READ_BYTES", 1000)
    path = tmp_path / "long.txt"
    path.write_text(TEXT * 1000, encoding="utf-8")
    _, text, _ = choose_pair([str(path)], *tools, np.random.default_rng(0))
    assert 0 < len(text.documents) < 100


def test_a_text_without_a_pair_is_told(tmp_path):
    path = tmp_path / "short.txt"
    path.write_text("好\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"short\.txt: no pair could be made"):
        run(ChangesOptions(input_file=str(path)))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"seed": -1}, "--seed=-1: must be 0 or more"),
        ({"hidden_size": 0}, "--hidden_size=0: must be 1 or more"),
        ({"embedding_size": -5}, "--embedding_size=-5: must be 1 or more"),
    ],
)
def test_values_out_of_range_are_refused(changed, message):
    with pytest.raises(InputError, match=message):
        ChangesOptions(**changed)


def test_any_width_will_do_whatever_the_heads_of_the_config():
    assert ChangesOptions(hidden_size=1001).config.hidden_size == 1001


def test_it_runs_without_keras_and_tensorflow_from_any_folder(tmp_path):
    program = (
        "import sys; from albert_zh.cli import main; status = main(['changes']); "
        "assert not {'tensorflow', 'keras'} & set(sys.modules), 'heavy import'; sys.exit(status)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert "xxlarge_v2" in done.stdout
    assert "label 1" in done.stdout
