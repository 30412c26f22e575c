"""``python similarity.py`` is the command ``similarity``."""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "similarity.py"


def test_the_script_scores_what_is_piped_into_it(finetuned, tmp_path):
    done = subprocess.run(
        [sys.executable, SCRIPT, finetuned],
        input="天地人和\t上下\n木\t树\n",
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert [row[1:] for row in rows] == [["天地人和", "上下"], ["木", "树"]]
    assert all(0 < float(row[0]) < 1 for row in rows)


def test_without_a_model_the_script_names_what_makes_one(tmp_path):
    done = subprocess.run([sys.executable, SCRIPT], input="", capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "bash run_classifier_lcqmc.sh" in done.stderr
    assert "Traceback" not in done.stderr
