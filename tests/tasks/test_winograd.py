"""Winograd rows: both spans are marked where they stand, and a span that is not there is named."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from albert_zh.files import InputError
from albert_zh.tasks import TASKS, Prediction
from albert_zh.tasks.classification import ClassificationTask
from albert_zh.tasks.winograd import mark_spans

WSC = TASKS["cluewsc2020"]
TEXT = "小王请小李吃饭，他很高兴。"


def target(first=("小李", 3), second=("他", 8)):
    return {"span1_text": first[0], "span1_index": first[1], "span2_text": second[0], "span2_index": second[1]}


def write(folder, name, *rows):
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / name).write_text(lines, encoding="utf-8")
    return folder


def test_the_mention_and_the_pronoun_are_marked_whichever_comes_first(tmp_path):
    rows = [
        {"text": TEXT, "target": target(), "label": "true", "idx": 7},
        {"text": "他说小李来了", "target": target(("小李", 2), ("他", 0)), "label": False},
    ]
    read = WSC.read("train", write(tmp_path, "train.json", *rows))
    assert [(row.text_a, row.text_b, row.label) for row in read] == [
        ("小王请_小李_吃饭，[他]很高兴。", None, "true"),
        ("[他]说_小李_来了", None, "false"),
    ]
    assert isinstance(WSC, ClassificationTask)


@given(st.text(max_size=5), st.text(min_size=1, max_size=3), st.text(max_size=5), st.text(min_size=1, max_size=3))
def test_taking_the_marks_away_gives_the_text_back(before, first, between, second):
    text = before + first + between + second
    places = {"span1_text": first, "span1_index": len(before), "span2_text": second}
    places["span2_index"] = len(before + first + between)
    assert mark_spans(text, places, "f:1") == f"{before}_{first}_{between}[{second}]"


@pytest.mark.parametrize(
    ("text", "spans", "message"),
    [
        (
            TEXT,
            target(("小李", 2)),
            r"train.json:1: at character 2 .*stands '请小', not span1_text '小李'.*3",
        ),
        (TEXT, target(second=("她", 8)), r"stands '他', not span2_text '她' \(the text does not have it\)"),
        (TEXT, target(second=("他", 80)), r"at character 80 of the text stands '', not span2_text '他' .*has it at 8"),
        (TEXT, target(("。", -1)), r"at character -1 of the text stands ''"),
        (TEXT, target(("小李", 3), ("李", 4)), r"train.json:1: span1 and span2 overlap"),
        (TEXT, target(("小李", "3")), r"train.json:1: span1_text and span1_index are \[\"小李\", \"3\"\]"),
        (TEXT, target(("", 3)), r"span1_text and span1_index are \[\"\", 3\]"),
        (TEXT, {"span1_text": "小李", "span1_index": 3}, r"span2_text and span2_index are \[null, null\]"),
        (TEXT, "小李", r"train.json:1: 'text' must be a string and 'target' an object"),
    ],
)
def test_a_span_that_does_not_stand_at_its_place_is_named_by_file_and_line(tmp_path, text, spans, message):
    write(tmp_path, "train.json", {"text": text, "target": spans, "label": "true"})
    with pytest.raises(InputError, match=message):
        WSC.read("train", tmp_path)


def test_a_row_without_its_spans_is_named(tmp_path):
    with pytest.raises(InputError, match=r"train.json:1: no 'target' in the row, which has 'text', 'label'"):
        WSC.read("train", write(tmp_path, "train.json", {"text": TEXT, "label": "true"}))


@pytest.mark.parametrize(("split", "name"), [("test", "cluewsc11_predict.json"), ("test1.0", "cluewsc10_predict.json")])
def test_both_test_files_have_their_submission(tmp_path, split, name):
    rows = WSC.read(split, write(tmp_path, f"{split}.json", {"text": TEXT, "target": target(), "id": 5}))
    path = WSC.write_submission(tmp_path, rows, [Prediction("false", (0.2, 0.8))], split)
    assert path.name == name
    assert path.read_text(encoding="utf-8") == '{"id": 5, "label": "false"}\n'


def test_a_new_text_must_carry_both_marks():
    WSC.check_texts(["小王请_小李_吃饭，[他]很高兴。"], "text 1")
    for text in (TEXT, "小王请_小李_吃饭，他很高兴。", "[他]很高兴", "__[]"):
        with pytest.raises(InputError, match=r"text 1: .*Write _ around the mention and \[ \] around the pronoun"):
            WSC.check_texts([text], "text 1")
