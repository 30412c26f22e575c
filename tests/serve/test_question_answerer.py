"""Answers are pieces of their passages and those the run gave; none where the threshold of the folder says so."""

import csv
import json
import shutil

import pytest

from albert_zh.cli import main
from albert_zh.files import InputError
from albert_zh.opened import open_finetuned
from albert_zh.serve.question_answerer import QuestionAnswerer


@pytest.fixture(scope="module")
def answerer(reading):
    return QuestionAnswerer(reading)


@pytest.fixture(scope="module")
def asked(reading, questions):
    """Dev rows as (passage, question), and what the run answered."""
    task = open_finetuned(reading).task
    rows = task.read("dev", questions)
    return [(row.context, row.question) for row in rows], task.read_predictions(reading / "dev_predictions.tsv")


def test_a_folder_answers_as_its_run_did(answerer, asked):
    pairs, wanted = asked
    answers = answerer.answer(pairs, batch_size=7)
    assert [answer.text for answer in answers] == [prediction.text for prediction in wanted]
    assert {bool(answer.text) for answer in answers} == {True, False}
    for answer, prediction, (passage, _) in zip(answers, wanted, pairs, strict=True):
        assert passage[answer.start : answer.end] == answer.text
        assert answer.null_odds == pytest.approx(prediction.null_odds, abs=1e-4)
        best = prediction.candidates[0]
        if answer.text:
            assert (answer.start, answer.end) == (best.start, best.end)
            assert answer.probability == pytest.approx(best.probability, abs=1e-4)
        else:
            rest = 1 - sum(candidate.probability for candidate in prediction.candidates)
            assert answer.probability == pytest.approx(rest, abs=1e-4)


def test_an_answer_does_not_depend_on_the_batch_and_the_thread(answerer, asked, in_threads):
    pairs = asked[0][:8]

    def told(answers):
        return [(answer.text, answer.start, round(answer.null_odds, 3)) for answer in answers]

    together = told(answerer.answer(pairs))
    assert told([answerer.answer([pair])[0] for pair in pairs]) == together
    assert told(answerer.answer(pairs[::-1])[::-1]) == together
    assert all(found == together for found in in_threads(lambda: told(answerer.answer(pairs))))
    assert answerer.answer([]) == []


def test_the_threshold_of_the_folder_decides_on_no_answer(reading, asked, tmp_path):
    folder = tmp_path / "never"
    shutil.copytree(reading, folder)
    about = json.loads((folder / "task.json").read_text(encoding="utf-8"))
    about["settings"]["null_threshold"] = 1e9
    (folder / "task.json").write_text(json.dumps(about), encoding="utf-8")
    assert all(answer.text for answer in QuestionAnswerer(folder).answer(asked[0]))


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ("天地", "pairs: one text, '天地', where a list is needed"),
        ([("天", "地"), "天地"], "pair 2: '天地' where a passage and a question are needed"),
        ([("天",)], "pair 1:"),
        ([("天", " ")], "pair 1:"),
        ([("天", None)], "pair 1:"),
    ],
)
def test_what_is_no_question_is_told(answerer, pairs, message):
    with pytest.raises(InputError, match=message):
        answerer.answer(pairs)


def test_a_model_of_another_task_is_refused(finetuned):
    with pytest.raises(InputError, match="a model of lcqmc, a task of kind 'pair', where one of reading comprehension"):
        QuestionAnswerer(finetuned)


def test_the_command_answers_a_question_and_a_file(reading, asked, answerer, tmp_path, capsys):
    pairs = asked[0][:5]
    answers = answerer.answer(pairs)
    (tmp_path / "in.tsv").write_text("".join(f"{a}\t{b}\n" for a, b in pairs), encoding="utf-8")
    out = tmp_path / "out.tsv"
    assert main(["predict", str(reading), f"--input_file={tmp_path}/in.tsv", f"--output_file={out}"]) == 0
    with open(out, encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))
    assert list(rows[0]) == ["answer", "start", "end", "probability", "null_odds", "passage", "question"]
    assert [(row["answer"], int(row["start"]), int(row["end"])) for row in rows] == [
        (answer.text, answer.start, answer.end) for answer in answers
    ]
    assert [(row["passage"], row["question"]) for row in rows] == pairs
    capsys.readouterr()
    assert main(["predict", str(reading), "--text", *pairs[0]]) == 0
    assert capsys.readouterr().out == "".join(out.read_text(encoding="utf-8").splitlines(keepends=True)[:2])
    assert main(["predict", str(reading), "--text", "天"]) == 2
    assert "the task 'squad2' takes two texts, got 1" in capsys.readouterr().err
    (tmp_path / "bad.tsv").write_text("天\t地\n天\n", encoding="utf-8")
    assert main(["predict", str(reading), f"--input_file={tmp_path}/bad.tsv"]) == 2
    assert "bad.tsv:2: 1 column; the task 'squad2' takes 2, passage<TAB>question" in capsys.readouterr().err
