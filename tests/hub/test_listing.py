"""The list of the catalogue: every row, what is here, licences that say what is known, addresses when wanted."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from albert_zh.cli import main
from albert_zh.files import InputError
from albert_zh.hub import listing
from albert_zh.hub.catalog import DATASETS, MODELS
from albert_zh.hub.listing import FEW, ListOptions, run

ROWS = [*MODELS.values(), *DATASETS.values()]


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    monkeypatch.setenv("ALBERT_ZH_HOME", str(tmp_path))
    return tmp_path


def put(home: Path, folder: str, *names: str) -> None:
    for name in names:
        (home / folder).mkdir(parents=True, exist_ok=True)
        (home / folder / name).write_text("x", encoding="utf-8")


def listed(capsys, *words: str) -> dict[str, str]:
    """Name -> its row, the mark in front; other lines are left out."""
    assert main(["models", *words]) == 0
    lines = capsys.readouterr().out.splitlines()
    return {line[2:].split()[0]: line for line in lines if line[:2] in ("  ", "* ") and line[2:3] != " "}


def test_every_row_is_one_line_with_what_it_is(capsys):
    rows = listed(capsys)
    assert set(rows) == {row.name for row in ROWS} | {"name"}
    for model in MODELS.values():
        assert rows[model.name].split()[:4] == [model.name, model.family, model.size, model.layout]
    for row in ROWS:
        assert row.licence.partition(" (")[0] in rows[row.name]
        assert row.note in rows[row.name]
        assert ("no public address known" in rows[row.name]) == (not row.downloads)


def test_the_licence_of_lcqmc_says_how_it_is_given(capsys):
    assert "for research, on application to its authors" in listed(capsys)["lcqmc"]


def test_a_mark_stands_before_what_is_here_whole_and_before_nothing_else(capsys, home):
    put(home, "models/albert_tiny_zh/albert_tiny", "albert_model.ckpt.index", "albert_config_tiny.json")
    put(home, "models/clue--albert_chinese_tiny", "pytorch_model.bin", "config.json", "vocab.txt")
    put(home, "models/albert_base_zh", "albert_model.ckpt.index")  # its JSON is missing
    put(home, "datasets/lcqmc", "train.txt", "dev.tsv", "test.tsv")
    put(home, "downloads/albert_large_zh", "albert_large_zh.zip")
    marked = {name for name, line in listed(capsys).items() if line.startswith("*")}
    assert marked == {"albert_tiny_zh", "clue/albert_chinese_tiny", "lcqmc"}


def test_home_may_be_another_folder(capsys, tmp_path):
    put(tmp_path / "other", "datasets/lcqmc", "train.tsv", "dev.tsv", "test.tsv")
    assert listed(capsys, "lcqmc")["lcqmc"].startswith(" ")
    assert listed(capsys, "lcqmc", f"--home={tmp_path / 'other'}")["lcqmc"].startswith("*")


def test_few_rows_show_licence_folder_and_addresses(capsys, home):
    put(home, "datasets/lcqmc", "train.tsv", "dev.tsv", "test.tsv")
    run(ListOptions("LCQMC"))
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    url = "https://dataset-bj.cdn.bcebos.com/qianyan/lcqmc.zip"
    assert f"{url} (md5 7069fa0cffbd2110845869c61f83814a)" in lines
    assert "or https://paddlehub-dataset.bj.bcebos.com/lcqmc.tar.gz" in lines
    assert f"here: {home / 'datasets' / 'lcqmc'}" in lines
    assert "licence: for research, on application to its authors" in lines
    run(ListOptions("voidful/albert_chinese_tiny"))
    printed = capsys.readouterr().out
    assert f"not here; its folder: {home / 'models' / 'voidful--albert_chinese_tiny'}" in printed
    assert "licence: none stated (by the publisher, for the weights)" in printed


@pytest.mark.parametrize(
    ("contains", "addresses", "shown"),
    [
        ("", None, False),
        ("tiny_zh", None, True),
        ("albert", None, False),
        ("albert", True, True),
        ("lcqmc", False, False),
    ],
)
def test_addresses_are_shown_when_asked_for_or_when_few_rows_are_left(contains, addresses, shown, capsys):
    assert (sum(contains in row.name for row in ROWS) <= FEW) == (contains in ("tiny_zh", "lcqmc"))
    run(ListOptions(contains, addresses))
    assert ("https://" in capsys.readouterr().out) == shown


def test_every_address_of_a_row_is_shown(capsys):
    run(ListOptions(addresses=True))
    printed = capsys.readouterr().out
    urls = [url.partition("#")[0] for row in ROWS for download in row.downloads for url in download.urls]
    assert [url for url in urls if url not in printed] == []


def test_addresses_are_those_that_would_be_tried(capsys, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.example")
    run(ListOptions("clue/albert_chinese_tiny"))
    printed = capsys.readouterr().out
    assert "https://mirror.example/clue/albert_chinese_tiny/resolve/main/vocab.txt" in printed
    assert "https://huggingface.co" not in printed


def test_a_text_no_name_contains_is_told():
    with pytest.raises(InputError, match="no name contains 'zzz'"):
        run(ListOptions("zzz"))


def test_a_note_gives_way_to_a_narrow_terminal_and_the_licence_does_not():
    line = "  albert_base_v1 google base tf1 Apache-2.0"
    assert listing._with_note(line, "", 20) == line
    assert listing._with_note(line, "English", 200) == f"{line}; English"
    assert listing._with_note(line, "English only", len(line) + 8) == f"{line}; Engli…"
    assert listing._with_note(line, "English", len(line) + 2) == line


def test_each_row_fits_a_terminal_of_80_columns(home):
    """Asked in a terminal: what goes to a file is never cut."""
    lead, follow = pty.openpty()
    program = subprocess.Popen(
        [sys.executable, "-m", "albert_zh", "models"],
        stdout=follow,
        env={**os.environ, "COLUMNS": "80", "ALBERT_ZH_HOME": "/h"},
    )
    os.close(follow)
    printed = b""
    while True:
        try:
            block = os.read(lead, 1 << 16)
        except OSError:  # the program has left
            break
        if not block:
            break
        printed += block
    os.close(lead)
    assert program.wait(60) == 0
    lines = printed.decode().splitlines()
    assert len(lines) > len(ROWS)
    assert [line for line in lines if len(line) > 80] == []
