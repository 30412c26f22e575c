"""``python similarity.py`` is the command ``similarity``."""

import subprocess
import sys
from pathlib import Path

from albert_zh.cli import main

SCRIPT = Path(__file__).parents[1] / "similarity.py"


def test_the_script_scores_what_is_piped_into_it(finetuned, tmp_path):
    done = subprocess.run(
        [sys.executable, SCRIPT, finetuned],
        input="天地人和\t上下\n木\t树\n",
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert [row[1:] for row in rows] == [["天地人和", "上下"], ["木", "树"]]
    assert all(0 < float(row[0]) < 1 for row in rows)


def test_without_a_model_it_names_what_makes_one(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["similarity"], "similarity.py") == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Make one with bash run_classifier_lcqmc.sh" in shown.err
