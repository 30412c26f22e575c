"""Rows in, sequences, answers and scores out: no row is lost, and bad rows are named."""

import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from albert_zh.files import InputError
from albert_zh.tasks import TASKS, Prediction, Row
from albert_zh.tasks.classification import ClassificationTask, hardest_rows
from albert_zh.tasks.readers import JsonLines
from albert_zh.tasks.task import Recipe

LCQMC, TNEWS, OCNLI, IFLYTEK = (TASKS[name] for name in ("lcqmc", "tnews", "ocnli", "iflytek"))


def write(folder, name, *lines):
    (folder / name).write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return folder


def texts(rows):
    return [(row.text_a, row.text_b, row.label) for row in rows]


# LCQMC: tab-separated, with or without a header


PAIRS = ["怎么开花呗\t花呗怎么开\t1", "今天冷吗\t明天热吗\t0"]
READ = [("怎么开花呗", "花呗怎么开", "1"), ("今天冷吗", "明天热吗", "0")]


@pytest.mark.parametrize("name", ["train.txt", "train.tsv"])
@pytest.mark.parametrize(
    "header",
    [
        [],
        ["text_a\ttext_b\tlabel"],
        ["sentence1\tsentence2\tlabel"],
        ["Sentence1\tSENTENCE2\tLabel"],
        ["q_x\tq_y\tlabel"],
    ],
)
def test_no_row_of_a_pair_file_is_lost_with_or_without_header(tmp_path, name, header):
    rows = LCQMC.read("train", write(tmp_path, name, *header, *PAIRS))
    assert texts(rows) == READ
    assert [row.where for row in rows] == [f"{tmp_path / name}:{n + 1 + len(header)}" for n in range(2)]
    assert [row.id for row in rows] == [0, 1]


def test_a_header_sets_the_order_of_the_columns(tmp_path):
    write(tmp_path, "train.tsv", "label\ttext_b\ttext_a", "1\t花呗怎么开\t怎么开花呗")
    assert texts(LCQMC.read("train", tmp_path)) == READ[:1]


def test_a_header_may_hold_columns_of_no_use_and_an_id(tmp_path):
    write(tmp_path, "train.tsv", "id\tsource\tsentence1\tsentence2\tlabel", "k1\tweb\t怎么开花呗\t花呗怎么开\t1")
    rows = LCQMC.read("train", tmp_path)
    assert texts(rows) == READ[:1]
    assert rows[0].id == "k1"


def test_a_byte_order_mark_and_windows_line_ends_do_not_show(tmp_path):
    (tmp_path / "dev.txt").write_bytes(("\ufeff" + "\r\n".join(PAIRS) + "\r\n").encode())
    assert texts(LCQMC.read("dev", tmp_path)) == READ


def test_a_first_row_with_a_wrong_label_is_not_taken_for_a_header(tmp_path):
    with pytest.raises(InputError, match=r'train.txt:1: label "3" is not one of "0", "1"\..*header row'):
        LCQMC.read("train", write(tmp_path, "train.txt", "甲\t乙\t3", *PAIRS))


def test_quotes_and_hash_signs_are_text(tmp_path):
    write(tmp_path, "dev.txt", '"甲\t#乙"\t1')
    assert texts(LCQMC.read("dev", tmp_path)) == [('"甲', '#乙"', "1")]


@pytest.mark.parametrize("header", [[], ["text_a\ttext_b"]])
def test_a_test_file_may_have_no_labels(tmp_path, header):
    rows = LCQMC.read("test", write(tmp_path, "test.tsv", *header, "甲\t乙", "丙\t丁"))
    assert texts(rows) == [("甲", "乙", None), ("丙", "丁", None)]


def test_a_test_file_with_labels_keeps_them(tmp_path):
    assert texts(LCQMC.read("test", write(tmp_path, "test.txt", *PAIRS))) == READ


@pytest.mark.parametrize("split", ["train", "dev"])
def test_train_and_dev_rows_need_labels(tmp_path, split):
    with pytest.raises(InputError, match=rf"{split}.txt:1: no label in a {split} row"):
        LCQMC.read(split, write(tmp_path, f"{split}.txt", "甲\t乙"))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([*PAIRS, "甲\t乙\t3"], r'dev.txt:3: label "3" is not one of "0", "1"\. Fix the row'),
        ([*PAIRS, "甲\t乙"], r"dev.txt:3: 2 tab-separated columns where 3 are needed \(text_a, text_b, label\)"),
        ([*PAIRS, "甲 乙 1"], r"dev.txt:3: 1 tab-separated columns"),
        (["甲 乙 1"], r"dev.txt:1: 1 tab-separated columns where 3"),
        ([*PAIRS, "甲\t乙\t丙\t1"], r"dev.txt:3: 4 tab-separated columns where 3"),
        ([*PAIRS, "\t乙\t1"], r"dev.txt:3: a text is empty"),
        (["text_a\ttext_b\tlabel"], r"dev.txt: the file holds no rows"),
        (["label\tsource", "1\tx"], r"dev.txt:1: .*no column for text_a, text_b"),
        ([], r"dev.txt: the file holds no rows"),
    ],
)
def test_a_bad_row_is_named_by_file_and_line(tmp_path, lines, message):
    with pytest.raises(InputError, match=message):
        LCQMC.read("dev", write(tmp_path, "dev.txt", *lines))


def test_a_missing_split_lists_what_was_looked_for_and_test_is_never_replaced_by_dev(tmp_path):
    write(tmp_path, "dev.txt", *PAIRS)
    assert LCQMC.has("dev", tmp_path)
    assert not LCQMC.has("test", tmp_path)
    with pytest.raises(InputError, match=r"no test file of lcqmc\. Looked for test.txt, test.tsv; .*holds dev.txt"):
        LCQMC.read("test", tmp_path)


def test_a_missing_folder_and_an_unknown_split_are_named(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        LCQMC.read("dev", tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"'validation'\. Its splits are train, dev, test"):
        LCQMC.read("validation", tmp_path)


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=("C", "Z")), min_size=1),
            st.text(st.characters(exclude_categories=("C", "Z")), min_size=1),
            st.sampled_from("01"),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_reading_gives_back_what_was_written(tmp_path_factory, values):
    folder = write(tmp_path_factory.mktemp("pairs"), "train.txt", *("\t".join(value) for value in values))
    assert texts(LCQMC.read("train", folder)) == values


# TNEWS and the other JSON lines


def titles(*rows):
    return [json.dumps(row, ensure_ascii=False) for row in rows]


def test_tnews_reads_the_sentence_and_not_the_keywords(tmp_path):
    row = {"label": "108", "label_desc": "news_edu", "sentence": "高考倒计时", "keywords": "高考"}
    rows = TNEWS.read("train", write(tmp_path, "train.json", *titles(row)))
    assert texts(rows) == [("高考倒计时", None, "108")]


def test_a_label_may_be_a_number_in_json_even_zero(tmp_path):
    row = {"sentence1": "甲", "sentence2": "乙", "label": 0}
    assert texts(TASKS["afqmc"].read("dev", write(tmp_path, "dev.json", *titles(row)))) == [("甲", "乙", "0")]


def test_both_tnews_test_files_are_read_with_their_ids(tmp_path):
    write(tmp_path, "test.json", *titles({"id": 5, "sentence": "甲"}))
    write(tmp_path, "test1.0.json", *titles({"id": 7, "sentence": "乙"}))
    assert [(row.id, row.label) for split in ("test", "test1.0") for row in TNEWS.read(split, tmp_path)] == [
        (5, None),
        (7, None),
    ]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (['{"label": "105", "sentence": "甲"}'], 'dev.json:1: label "105" is not one of "100", "101"'),
        (['{"sentence": "甲"}'], "dev.json:1: no label in a dev row"),
        (['{"label": "100"}'], "dev.json:1: no 'sentence' in the row, which has 'label'"),
        (['{"label": "100", "sentence": 7}'], "dev.json:1: a text is 7, not a string"),
        (['{"label": "100", "sentence": " "}'], "dev.json:1: a text is empty"),
        (['{"label": "100", "sentence": "甲"}', "junk"], "dev.json:2: not JSON"),
        (['{"label": "100", "sentence": "甲"}', '["x"]'], "dev.json:2: a JSON list, not an object"),
        (['{"label": "100", "sentence": "甲', '{"label": "100", "sentence": "乙"}'], "dev.json:1: not JSON"),
        (['{"label": "100", "sentence": "甲', *["乙"] * 300], "dev.json:1: not JSON"),
        (['{"label": "100", "sentence": "甲"'], "dev.json:1: not JSON"),
        ([], "dev.json: the file holds no rows"),
    ],
)
def test_a_bad_json_row_is_named_by_file_and_line(tmp_path, lines, message):
    with pytest.raises(InputError, match=message):
        TNEWS.read("dev", write(tmp_path, "dev.json", *lines))


def test_a_text_with_raw_line_breaks_is_one_row(tmp_path):
    rows = IFLYTEK.read(
        "dev",
        write(
            tmp_path,
            "dev.json",
            '{"label": "7", "sentence": "第一行',
            "",
            '第三行"}',
            '{"label": 118, "sentence": "乙"}',
        ),
    )
    assert texts(rows) == [("第一行\n\n第三行", None, "7"), ("乙", None, "118")]
    assert [row.where.rpartition(":")[2] for row in rows] == ["1", "4"]


def test_rows_without_agreement_are_left_out_of_dev_and_kept_in_test(tmp_path, caplog):
    lines = titles(
        {"sentence1": "甲", "sentence2": "乙", "label": "-", "id": 0},
        {"sentence1": "丙", "sentence2": "丁", "label": "neutral", "id": 1},
    )
    write(tmp_path, "dev.json", *lines)
    write(tmp_path, "test.json", *lines)
    with caplog.at_level("INFO"):
        assert texts(OCNLI.read("dev", tmp_path)) == [("丙", "丁", "neutral")]
    assert "1 rows without a gold label" in caplog.text
    assert texts(OCNLI.read("test", tmp_path)) == [("甲", "乙", None), ("丙", "丁", "neutral")]


def test_the_largest_ocnli_training_file_is_taken_first(tmp_path):
    row = {"sentence1": "甲", "sentence2": "乙", "label": "neutral"}
    write(tmp_path, "train.3k.json", *titles(row))
    write(tmp_path, "train.50k.json", *titles(row, row))
    assert len(OCNLI.read("train", tmp_path)) == 2


def test_csl_keywords_are_joined_before_the_abstract(tmp_path):
    row = {"id": 3, "abst": "摘要", "keyword": ["网络", "聚集"], "label": "1"}
    assert texts(TASKS["csl"].read("dev", write(tmp_path, "dev.json", *titles(row)))) == [("网络 聚集", "摘要", "1")]


def test_chnsenticorp_columns_are_label_then_text_with_or_without_header(tmp_path):
    write(tmp_path, "train.tsv", "label\ttext_a", "1\t不错")
    write(tmp_path, "dev.tsv", "1\t不错")
    task = TASKS["chnsenticorp"]
    assert texts(task.read("train", tmp_path)) == texts(task.read("dev", tmp_path)) == [("不错", None, "1")]


# Featurize


class Encoded:
    def __init__(self, ids):
        self.ids = ids


class CountingTokenizer:
    """One token a character; remembers what it was asked."""

    pad_id, unk_id, cls_id, sep_id, mask_id = 0, 100, 101, 102, 103

    def __init__(self):
        self.asked = []

    def encode(self, text):
        self.asked.append(text)
        return Encoded([ord(character) for character in text])


def test_a_pair_becomes_cls_a_sep_b_sep_with_its_segments():
    rows = [Row("f:1", "甲乙", "丙", "1"), Row("f:2", "丁", "戊", None)]
    features = LCQMC.featurize(rows, CountingTokenizer(), 128)
    assert features.input_ids[0].tolist() == [101, ord("甲"), ord("乙"), 102, ord("丙"), 102]
    assert features.segment_ids[0].tolist() == [0, 0, 0, 0, 1, 1]
    assert features.labels.tolist() == [1, -1]
    assert features.row_numbers.tolist() == [0, 1]
    assert {array.dtype for array in (*features.input_ids, *features.segment_ids, features.labels)} == {
        np.dtype("int32")
    }
    assert len(features) == 2
    assert features.rows is rows
    assert features.truncated == 0


def test_a_single_sentence_becomes_cls_a_sep():
    features = TNEWS.featurize([Row("f:1", "甲", None, "101")], CountingTokenizer(), 128)
    assert features.input_ids[0].tolist() == [101, ord("甲"), 102]
    assert features.labels.tolist() == [1]


def test_sequences_fit_the_length_and_those_cut_are_counted():
    rows = [Row("f:1", "一二三四五六七八九十", "一二三", "1"), Row("f:2", "一", "二", "0")]
    features = LCQMC.featurize(rows, CountingTokenizer(), 10)
    assert [len(ids) for ids in features.input_ids] == [10, 5]
    assert features.truncated == 1


def test_each_distinct_text_is_tokenised_once():
    tokenizer = CountingTokenizer()
    LCQMC.featurize(
        [Row("f:1", "甲", "乙", "1"), Row("f:2", "乙", "甲", "1"), Row("f:3", "甲", "丙", "0")], tokenizer, 16
    )
    assert sorted(tokenizer.asked) == sorted("甲乙丙")


# Decode and score


def test_probabilities_are_the_softmax_in_the_order_of_the_labels():
    predictions = LCQMC.decode(np.array([[0.0, math.log(3)], [1000.0, -1000.0]], np.float32))
    assert predictions[0].label == "1"
    assert predictions[0].probabilities == pytest.approx((0.25, 0.75))
    assert predictions[0].confidence == pytest.approx(0.75)
    assert predictions[1].label == "0"
    assert predictions[1].probabilities == pytest.approx((1, 0))


@pytest.mark.parametrize(
    ("logits", "message"), [(np.zeros((2, 3)), "not .rows, 2."), (np.array([[0, np.nan]]), "finite")]
)
def test_logits_of_another_task_or_of_a_diverged_model_are_refused(logits, message):
    with pytest.raises(ValueError, match=message):
        LCQMC.decode(logits)


def answers(*labels):
    return [Prediction(label, (0.4, 0.6) if label == "1" else (0.6, 0.4)) for label in labels]


def labelled(*labels):
    return [Row(f"dev.txt:{n + 1}", "甲", "乙", label, n) for n, label in enumerate(labels)]


def test_scores_equal_hand_computed_ones():
    scores = LCQMC.score(answers(*"1101"), labelled(*"1001"))
    assert scores["accuracy"] == 0.75
    assert scores["macro_f1"] == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert scores["rows"] == 4
    assert scores["accuracy_low"] <= 0.75 <= scores["accuracy_high"]
    assert LCQMC.main_metric in scores
    assert LCQMC.confusion(answers(*"1101"), labelled(*"1001")).tolist() == [[1, 1], [0, 2]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"main_metric": "matthews"}, "matthews is not one of its metrics, accuracy"),
        ({"more_metrics": ("f1",)}, "no metric 'f1'; f1 needs one of the labels"),
        ({"more_metrics": ("auc",)}, "no metric 'auc'"),
    ],
)
def test_a_metric_that_cannot_be_measured_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(LCQMC, **changes)


def test_f1_may_be_the_main_metric_and_then_has_the_interval():
    task = dataclasses.replace(LCQMC, main_metric="f1", more_metrics=("f1", "matthews"), positive="1")
    scores = task.score(answers(*"1101"), labelled(*"1001"))
    assert scores["f1"] == pytest.approx(4 / 5)
    assert scores["matthews"] == pytest.approx(2 / np.sqrt(3 * 2 * 2))
    assert scores["f1_low"] <= 0.8 <= scores["f1_high"]
    (majority, _) = task.trivial_baselines(labelled(*"1101"), labelled(*"1101"))
    assert majority.score == pytest.approx(2 * 3 / (4 + 3))


def test_rows_without_gold_are_not_scored():
    with pytest.raises(InputError, match=r"test.txt:1: no gold label"):
        LCQMC.score(answers("1"), [Row("test.txt:1", "甲", "乙")])


def test_one_prediction_a_row_is_needed():
    with pytest.raises(ValueError, match="1 predictions for 2 rows"):
        LCQMC.score(answers("1"), labelled(*"10"))


def test_the_hardest_rows_are_the_surest_mistakes_and_the_closest_calls():
    rows = [*labelled(*"0011"), Row("t:9", "甲", "乙")]
    predictions = [
        Prediction("0", (0.9, 0.1)),
        Prediction("1", (0.2, 0.8)),
        Prediction("0", (0.95, 0.05)),
        Prediction("1", (0.49, 0.51)),
        Prediction("1", (0.01, 0.99)),
    ]
    mistakes, uncertain = hardest_rows(rows, predictions, count=2)
    assert mistakes == [2, 1]
    assert uncertain == [3, 1]


# Writing predictions


def test_predictions_keep_text_gold_and_probabilities_in_both_layouts(tmp_path):
    rows = [Row("f:1", "甲\t一", "乙\n二", "1", 0), Row("f:2", "丙", "丁", None, 1)]
    predictions = LCQMC.decode(np.array([[0.0, math.log(3)], [0.0, 0.0]]))
    lines = LCQMC.write_predictions(tmp_path / "dev.json", rows, predictions).read_text(encoding="utf-8").splitlines()
    assert json.loads(lines[0]) == {
        "id": 0,
        "text_a": "甲\t一",
        "text_b": "乙\n二",
        "gold": "1",
        "label": "1",
        "probabilities": {"0": 0.25, "1": 0.75},
    }
    assert json.loads(lines[1])["gold"] is None
    table = LCQMC.write_predictions(tmp_path / "dev.tsv", rows, predictions).read_text(encoding="utf-8").splitlines()
    assert table[0].split("\t") == ["id", "text_a", "text_b", "gold", "label", "probability_0", "probability_1"]
    assert table[1].split("\t") == ["0", "甲 一", "乙 二", "1", "1", "0.250000", "0.750000"]
    assert table[2].split("\t")[3] == ""


def test_predictions_that_do_not_match_the_rows_leave_no_file(tmp_path):
    with pytest.raises(ValueError, match="give one a row"):
        LCQMC.write_predictions(tmp_path / "dev.tsv", labelled("0"), [])
    assert not list(tmp_path.iterdir())


# The table's rows


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "triple"}, "not single or pair"),
        ({"labels": ("a", "a")}, "different"),
        ({"labels": ("a",)}, "two or more"),
    ],
)
def test_a_row_of_the_table_that_cannot_be_is_refused(change, message):
    row = {"name": "x", "kind": "single", "labels": ("a", "b"), "files": {}, "reader": JsonLines("s")}
    with pytest.raises(ValueError, match=message):
        ClassificationTask(**(row | {"recipe": Recipe(8, 1, 1e-5, 1)} | change))
