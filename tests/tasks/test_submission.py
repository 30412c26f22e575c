"""Leaderboard files: names, order, counts, and nothing written when one of them is wrong."""

import json

import pytest

from albert_zh.files import InputError
from albert_zh.tasks import TASKS, Prediction, Row
from albert_zh.tasks.submission import Submission

TNEWS = TASKS["tnews"]


def predicted(label, task=TNEWS):
    share = 1 / len(task.labels)
    return Prediction(label, (share,) * len(task.labels))


def rows(count, name="test.json"):
    return [Row(f"{name}:{n + 1}", "标题", id=n) for n in range(count)]


def test_tnews_lines_are_what_the_leaderboard_reads(tmp_path):
    path = TNEWS.write_submission(tmp_path, rows(2), [predicted("108"), predicted("116")])
    assert path.name == "tnews11_predict.json"
    assert path.read_text(encoding="utf-8") == '{"id": 0, "label": "108"}\n{"id": 1, "label": "116"}\n'


def test_each_test_split_has_its_own_file(tmp_path):
    path = TNEWS.write_submission(tmp_path, rows(1, "test1.0.json"), [predicted("108")], split="test1.0")
    assert path.name == "tnews10_predict.json"


def test_lcqmc_answers_are_a_table_with_a_header(tmp_path):
    lcqmc = TASKS["lcqmc"]
    path = lcqmc.write_submission(tmp_path, rows(2, "test.tsv"), [predicted("0", lcqmc), predicted("1", lcqmc)])
    assert path.name == "lcqmc_predict.tsv"
    assert path.read_text(encoding="utf-8") == "index\tprediction\n0\t0\n1\t1\n"


def test_ids_of_the_file_are_kept(tmp_path):
    path = TNEWS.write_submission(tmp_path, [Row("test.json:1", "标题", id="a7")], [predicted("108")])
    assert json.loads(path.read_text(encoding="utf-8"))["id"] == "a7"


@pytest.mark.parametrize(
    ("given", "answers", "split", "message"),
    [
        (rows(2), ["108"], "test", "1 answers for 2 rows"),
        ([], [], "test", "no rows"),
        (rows(2)[::-1], ["108", "108"], "test", "comes after"),
        (rows(1) + rows(2, "other.json")[1:], ["108", "108"], "test", "one test file"),
        ([Row("t:1", "x", id=0), Row("t:2", "x", id=0)], ["108", "108"], "test", "id 0 comes twice, again at t:2"),
        (rows(1), ["105"], "test", "'105' for test.json:1 is not a label"),
        (rows(1), ["108"], "dev", "'dev'. Those known: test, test1.0"),
    ],
)
def test_a_wrong_submission_is_refused_and_nothing_is_written(tmp_path, given, answers, split, message):
    with pytest.raises(InputError, match=message):
        TNEWS.write_submission(tmp_path, given, [predicted(answer) for answer in answers], split)
    assert not list(tmp_path.iterdir())


def test_a_task_without_a_leaderboard_says_so(tmp_path):
    with pytest.raises(InputError, match="no leaderboard"):
        TASKS["chnsenticorp"].write_submission(tmp_path, rows(1), [])


def test_an_unknown_format_is_refused():
    with pytest.raises(ValueError, match="not one of json_lines"):
        Submission({"test": "x"}, format="csv")
