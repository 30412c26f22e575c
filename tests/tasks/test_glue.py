"""GLUE: the official layouts with their quirks, bad rows named, scores worked out by hand, files as the site asks."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest

from albert_zh.cli import CHECKOUT
from albert_zh.files import InputError
from albert_zh.tasks import TASKS, Prediction, Row
from albert_zh.tasks.glue import GLUE
from albert_zh.tasks.regression import NumberPrediction

NLI = "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\tsentence1_parse\tsentence2_parse"
NLI += "\tsentence1\tsentence2"


def write(folder, name, *lines, encoding="utf-8"):
    (folder / name).write_bytes("".join(line + "\n" for line in lines).encode(encoding))
    return folder


def cells(rows):
    return [(row.text_a, row.text_b, row.label, row.id) for row in rows]


def predicted(*labels):
    return [Prediction(label, (1.0,)) for label in labels]


def labelled(*labels, pairs=None):
    return [Row(f"dev.tsv:{n}", *(pairs[n - 1] if pairs else ("a", "b")), label) for n, label in enumerate(labels, 1)]


# The official layouts

LAYOUTS = [
    ("cola", "train", "train.tsv", ["gj04\t1\t\tHe left.", "gj04\t0\t*\tLeft he."],
     [("He left.", None, "1", 0), ("Left he.", None, "0", 1)]),
    ("cola", "test", "test.tsv", ["index\tsentence", "0\tHe left."], [("He left.", None, None, "0")]),
    ("sst2", "dev", "dev.tsv", ["sentence\tlabel", "a fine film \t1"], [("a fine film ", None, "1", 0)]),
    ("sst2", "test", "test.tsv", ["index\tsentence", "0\tuneasy mishmash"], [("uneasy mishmash", None, None, "0")]),
    ("mrpc", "train", "train.tsv", ["Quality\t#1 ID\t#2 ID\t#1 String\t#2 String", "1\t70\t71\tHe said .\tShe said ."],
     [("He said .", "She said .", "1", 0)]),
    ("mrpc", "test", "test.tsv", ["index\t#1 ID\t#2 ID\t#1 String\t#2 String", "0\t70\t71\tHe said .\tShe said ."],
     [("He said .", "She said .", None, "0")]),
    ("stsb", "dev", "dev.tsv",
     ["index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore",
      "7\tmain\tcap\t2012\t1\tnone\tnone\tA man.\tA dog.\t0.250"], [("A man.", "A dog.", "0.250", "7")]),
    ("qqp", "dev", "dev.tsv", ["id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate", "9\t1\t2\tWhy?\tHow?\t0"],
     [("Why?", "How?", "0", "9")]),
    ("qqp", "test", "test.tsv", ["id\tquestion1\tquestion2", "0\tWhy?\tHow?"], [("Why?", "How?", None, "0")]),
    ("mnli", "train", "train.tsv",
     [f"{NLI}\tlabel1\tgold_label", "0\t3\t3n\tx\t(\t(\t(\t(\tA man.\tOne.\tneutral\tneutral"],
     [("A man.", "One.", "neutral", "0")]),
    ("mnli", "dev_mismatched", "dev_mismatched.tsv",
     [f"{NLI}\tlabel1\tlabel2\tlabel3\tlabel4\tlabel5\tgold_label",
      "4\t3\t3n\tx\t(\t(\t(\t(\tA man.\tOne.\tneutral\tneutral\tneutral\tneutral\tentailment\tcontradiction"],
     [("A man.", "One.", "contradiction", "4")]),
    ("mnli", "test_mismatched", "test_mismatched.tsv", [NLI, "0\t3\t3n\tx\t(\t(\t(\t(\tA man.\tOne."],
     [("A man.", "One.", None, "0")]),
    ("mnli", "test_diagnostic", "AX.tsv", ["index\tsentence1\tsentence2", "0\tA man.\tOne."],
     [("A man.", "One.", None, "0")]),
    ("qnli", "dev", "dev.tsv", ["index\tquestion\tsentence\tlabel", "0\tWho?\tHe.\tnot_entailment"],
     [("Who?", "He.", "not_entailment", "0")]),
    ("rte", "train", "train.tsv", ["index\tsentence1\tsentence2\tlabel", "0\tA.\tB.\tentailment"],
     [("A.", "B.", "entailment", "0")]),
    ("wnli", "test", "test.tsv", ["index\tsentence1\tsentence2", "0\tA.\tB."], [("A.", "B.", None, "0")]),
]  # fmt: skip


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize(("task", "split", "file", "lines", "read"), LAYOUTS)
def test_official_files_are_read_by_the_names_in_their_headers(tmp_path, task, split, file, lines, read, encoding):
    assert cells(TASKS[task].read(split, write(tmp_path, file, *lines, encoding=encoding))) == read


def test_quotes_are_text_paired_or_not(tmp_path):
    rows = ['0\t" Odd\tIt is "odd"\tentailment', '1\t5" long\t"\tnot_entailment', "2\tB.\t''C\tentailment"]
    read = TASKS["rte"].read("dev", write(tmp_path, "dev.tsv", "index\tsentence1\tsentence2\tlabel", *rows))
    assert [row.text_a for row in read] == ['" Odd', '5" long', "B."]
    assert [row.text_b for row in read] == ['It is "odd"', '"', "''C"]


def test_a_folder_may_hold_the_archive_of_mnli_as_it_was_packed_or_its_files(tmp_path):
    (tmp_path / "MNLI").mkdir()
    lines = [f"{NLI}\tlabel1\tgold_label", "0\t3\t3n\tx\t(\t(\t(\t(\tA man.\tOne.\tneutral\tneutral"]
    write(tmp_path / "MNLI", "train.tsv", *lines)
    assert len(TASKS["mnli"].read("train", tmp_path)) == len(TASKS["mnli"].read("train", tmp_path / "MNLI")) == 1


def test_the_names_of_earlier_scripts_and_of_the_folders_are_known():
    names = {"sst-2": "sst2", "sts-b": "stsb", "mnli-mm": "mnli", "ax": "mnli"}
    assert {name: TASKS[name].name for name in names} == names


@pytest.mark.parametrize(("task", "split"), [(task, split) for task in GLUE for split in task.files],
                         ids=lambda value: getattr(value, "name", value))  # fmt: skip
def test_every_sample_is_read(task, split):
    rows = task.read(split, Path(CHECKOUT) / "data" / task.name)
    assert len(rows) >= 10
    assert all(map(task.has_gold, rows)) == (not split.startswith("test"))


# Rows that cannot be

QQP = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate"
TORN = [
    "0\t1\t2\tWhy?\tHow?\t1",
    "1\t3\t4\tWhat is\t",
    " this?\tHow?\t0",
    "2\t5\t6\t\tHow?\t0",
    "3\t5\t6\tWho?\tHow?\t0",
]


def test_torn_training_rows_of_qqp_are_left_out_and_counted(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    rows = TASKS["qqp"].read("train", write(tmp_path, "train.tsv", QQP, *TORN))
    assert [(row.id, row.where.rpartition(":")[2]) for row in rows] == [("0", "2"), ("3", "6")]
    assert "train.tsv: 3 rows without both questions or the label left out" in caplog.text


@pytest.mark.parametrize(
    ("task", "file", "lines", "message"),
    [
        ("qqp", "dev.tsv", [QQP, *TORN], r"dev.tsv:3: 5 tab-separated columns where 6 are needed \(id, qid1, q"),
        ("qqp", "dev.tsv", [QQP, TORN[3]], r"dev.tsv:2: column 'question1': a text is empty"),
        ("qqp", "train.tsv", [QQP, "0\t1\t2\tWhy?\tHow?\t1\t2"], r"train.tsv:2: 7 tab-separated columns where 6"),
        ("qqp", "train.tsv", [QQP, "0\t1\t2\tWhy?\tHow?\t2"], r'train.tsv:2: column .is_duplicate.: label "2" is not'),
        ("rte", "dev.tsv", ["index\tsentence1\tsentence2\tlabel", "0\tA.\tB.\tneutral"], r'dev.tsv:2: .*"neutral" is'),
        ("rte", "dev.tsv", ["index\tsentence1\tsentence2", "0\tA.\tB."], r"dev.tsv:2: .*no label in a dev row"),
        ("rte", "dev.tsv", ["index\tquestion\tsentence\tlabel", "0\tA.\tB.\tentailment"],
         r"dev.tsv:1: no column 'sentence1'; the first row is index, question, sentence, label"),
        ("rte", "dev.tsv", ["0\tA.\tB.\tentailment"], r"dev.tsv:1: no column 'sentence1'"),
        ("rte", "dev.tsv", [], r"dev.tsv: the file holds no rows"),
        ("cola", "dev.tsv", ["gj04\t1\tHe left."], r"dev.tsv:1: no column 'sentence'"),
        ("cola", "dev.tsv", ["gj04\t1\t\tHe left.", "gj04\t1\tHe"], r"dev.tsv:2: 3 tab-separated columns where 4"),
        ("cola", "dev.tsv", ["gj04\t*\t\tHe left."], r'dev.tsv:1: column .label.: label "\*" is not one of "0", "1"'),
        ("stsb", "dev.tsv", ["sentence1\tsentence2\tscore", "A.\tB.\t5.2"], r"dev.tsv:2: .*5.2 is not from 0 to 5"),
        ("stsb", "dev.tsv", ["sentence1\tsentence2\tscore", "A.\tB.\tmuch"], r"dev.tsv:2: .*'much' is not a number"),
        ("sst2", "test.tsv", ["index\tsentence", "0\ta", "0\tb"], r"SST-2.tsv: id '0' comes twice, again at .*tsv:3"),
    ],
)  # fmt: skip
def test_a_bad_row_is_named_by_file_line_and_column(tmp_path, task, file, lines, message):
    with pytest.raises(InputError, match=message):
        TASKS[task].read(file.partition(".")[0], write(tmp_path, file, *lines))


def test_mnli_rows_without_agreement_are_left_out_of_both_devs_and_every_dev_row_needs_a_label(tmp_path):
    row = "0\t3\t3n\tx\t(\t(\t(\t(\tA man.\tOne.\t"
    for file, split in (("dev_matched.tsv", "dev"), ("dev_mismatched.tsv", "dev_mismatched")):
        write(tmp_path, file, f"{NLI}\tgold_label", row + "neutral", row + "-")
        assert [row.label for row in TASKS["mnli"].read(split, tmp_path)] == ["neutral"]
        write(tmp_path, file, f"{NLI}\tgold_label", row)
        with pytest.raises(InputError, match=rf"{file}:2: .*no label in a {split} row"):
            TASKS["mnli"].read(split, tmp_path)


# Scores


def test_cola_is_scored_by_matthews_and_read_as_a_number():
    # gold 1: five right, one wrong; gold 0: one right, two wrong: (5*1 - 1*2) / sqrt(7*6*3*2)
    gold, answers = "111111000", "111110011"
    scores = TASKS["cola"].score(predicted(*answers), labelled(*gold))
    assert scores["matthews"] == pytest.approx(3 / np.sqrt(7 * 6 * 3 * 2))
    assert scores["accuracy"] == pytest.approx(6 / 9)
    assert -1 <= scores["matthews_low"] < scores["matthews"] < scores["matthews_high"] <= 1
    assert scores == TASKS["cola"].score(predicted(*answers), labelled(*gold))
    assert TASKS["cola"].shown(scores["matthews"]) == "0.1890"
    assert "accuracy_low" not in scores


@pytest.mark.parametrize("name", ["mrpc", "qqp"])
def test_mrpc_and_qqp_are_scored_by_accuracy_and_by_f1_of_the_same(name):
    scores = TASKS[name].score(predicted(*"11100"), labelled(*"11010"))
    assert scores["accuracy"] == pytest.approx(3 / 5)
    assert scores["f1"] == pytest.approx(2 * 2 / (3 + 3))  # two hits; three answered 1, three are
    assert TASKS[name].main_metric == "accuracy"
    assert scores["accuracy_low"] <= 0.6 <= scores["accuracy_high"]
    assert "f1_low" not in scores


def test_the_main_metrics_are_those_of_the_leaderboard():
    main = {task.name: task.main_metric for task in GLUE}
    assert main == dict.fromkeys("sst2 mrpc qqp mnli qnli rte wnli".split(), "accuracy") | {
        "cola": "matthews", "stsb": "pearson",
    }  # fmt: skip


def test_a_constant_answer_correlates_with_nothing_whatever_it_gets_right():
    (majority,) = TASKS["cola"].trivial_baselines(
        [Row("t:1", "a", label="1")], [Row("d:1", "a", label=x) for x in "110"]
    )
    assert majority.score == 0


# The leaderboard's files

FILES = {
    "CoLA.tsv", "SST-2.tsv", "MRPC.tsv", "STS-B.tsv", "QQP.tsv", "MNLI-m.tsv", "MNLI-mm.tsv", "QNLI.tsv", "RTE.tsv",
    "WNLI.tsv", "AX.tsv",
}  # fmt: skip


def test_every_file_of_the_leaderboard_is_answered_by_one_split():
    asked = [file for task in GLUE for file in task.submission.files.values()]
    assert len(asked) == len(FILES)
    assert set(asked) == FILES


@pytest.mark.parametrize(
    ("name", "split", "answers", "lines"),
    [
        ("rte", "test", ["entailment", "not_entailment"], ["0\tentailment", "1\tnot_entailment"]),
        ("cola", "test", ["1", "0"], ["0\t1", "1\t0"]),
        ("mnli", "test_mismatched", ["neutral", "contradiction"], ["0\tneutral", "1\tcontradiction"]),
        ("mnli", "test_diagnostic", ["neutral", "entailment"], ["0\tneutral", "1\tentailment"]),
        ("stsb", "test", [5.0001, 2.71828], ["0\t5.000", "1\t2.718"]),
        ("stsb", "test", [-0.3, 0.0004], ["0\t0.000", "1\t0.000"]),
    ],
)
def test_files_are_as_the_site_asks_and_are_held_against_their_rows(tmp_path, name, split, answers, lines):
    task = TASKS[name]
    rows = [Row(f"test.tsv:{n + 2}", "a", "b", None, str(n)) for n in range(2)]
    made = [NumberPrediction(answer) for answer in answers] if name == "stsb" else predicted(*answers)
    path = task.write_submission(tmp_path, rows, made, split)
    assert path.name == task.submission.files[split]
    assert path.read_text(encoding="utf-8") == "\n".join(["index\tprediction", *lines]) + "\n"
    assert task.check_submission(tmp_path, rows, split) == path
    with pytest.raises(InputError, match="2 answers for 1 test rows"):
        task.check_submission(tmp_path, rows[:1], split)


@pytest.mark.parametrize("answer", ["5.100", "4", "nan", "much", ""])
def test_a_number_that_is_no_answer_is_found(tmp_path, answer):
    (tmp_path / "STS-B.tsv").write_text(f"index\tprediction\n0\t1.500\n1\t{answer}\n")
    rows = [Row(f"test.tsv:{n + 2}", "a", "b", None, str(n)) for n in range(2)]
    with pytest.raises(InputError, match=rf"STS-B.tsv:3: '{answer}' is no answer of stsb"):
        TASKS["stsb"].check_submission(tmp_path, rows, "test")


def test_numbers_out_of_order_or_of_two_files_are_refused_and_nothing_is_written(tmp_path):
    rows = [Row(f"test.tsv:{n}", "a", "b", None, str(n)) for n in (3, 2)]
    with pytest.raises(InputError, match="comes after"):
        TASKS["stsb"].write_submission(tmp_path, rows, [NumberPrediction(1.0)] * 2)
    with pytest.raises(InputError, match="1 answers for 2 rows"):
        TASKS["stsb"].write_submission(tmp_path, rows[::-1], [NumberPrediction(1.0)])
    assert not list(tmp_path.iterdir())


def test_predictions_of_two_metrics_are_written_and_read_back(tmp_path):
    task = TASKS["mrpc"]
    made = [Prediction("1", (0.25, 0.75))]
    path = task.write_predictions(tmp_path / "dev.tsv", labelled("1"), made)
    assert task.read_predictions(path) == made
    path = task.write_predictions(tmp_path / "dev.json", labelled("1"), made)
    assert json.loads(path.read_text())["label"] == "1"
