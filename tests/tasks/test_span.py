"""Questions to windows and back to exact characters, answers that may be none, files that cannot be used."""

import dataclasses
import json
import logging
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from albert_zh.cli import CHECKOUT
from albert_zh.files import InputError
from albert_zh.tasks import TASKS, Features, get_task
from albert_zh.tasks.span import SpanPrediction, SpanTask
from albert_zh.tasks.span_reader import Answer, SpanRow
from albert_zh.text.tokenizer import load_tokenizer

DATA = Path(CHECKOUT) / "data"
SPANS = [task for name, task in TASKS.items() if isinstance(task, SpanTask) and name == task.name]


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer("albert_config/vocab.txt")


def row(context, question="谁？", answer="", place=0):
    return SpanRow("dev.json: question 1", "1", question, context, (Answer(answer, place),) if answer else ())


def oracle(features, high=9.0):
    """Logits that point at the gold answer of every window, and at [CLS] where it holds none."""
    longest = max(map(len, features.input_ids))
    logits = np.zeros((len(features), longest, 2), np.float32)
    for window, (begin, end) in enumerate(features.labels):
        if begin >= 0:
            logits[window, begin, 0] = logits[window, end, 1] = high + (high if begin else 0)
    return logits


@pytest.mark.parametrize("task", SPANS, ids=lambda task: task.name)
@pytest.mark.parametrize("length", [64, 384])
def test_gold_answers_through_windows_and_back_score_100(task, length, tokenizer):
    for split in ("train", "dev"):
        rows = task.read(split, DATA / task.name)
        features = task.featurize(rows, tokenizer, length)
        predictions = task.decode(oracle(features), features)
        tuned = task.tuned(predictions, rows)
        scores = tuned.score(tuned.retold(predictions), rows)
        assert (scores["exact"], scores["f1"]) == (1, 1)
        assert scores["f1_low"] == 1


def test_some_samples_are_longer_than_a_window():
    lengths = [len(row.context) for row in get_task("cmrc2018").read("dev", DATA / "cmrc2018")]
    assert max(lengths) > 512 > min(lengths)


@given(seed=st.integers(0, 99), length=st.integers(16, 40), longest=st.integers(1, 6), kept=st.integers(1, 7))
@settings(max_examples=60, deadline=None)
def test_the_candidates_are_the_best_of_all_pairs(tokenizer, seed, length, longest, kept):
    dice = np.random.default_rng(seed)
    texts = [
        "".join(map(chr, 0x4E00 + dice.permutation(99)[:size])) for size in dice.integers(1, 45, 3)
    ]  # no piece twice
    task = SpanTask(
        name="toy", files={}, recipe=None, doc_stride=5, max_answer_length=longest, n_best_size=kept, chinese=True
    )
    rows = [row(text, "问" * int(dice.integers(1, 5))) for text in texts]
    features = task.featurize(rows, tokenizer, length)
    logits = dice.normal(size=(len(features), max(map(len, features.input_ids)), 2)).astype(np.float32)
    predictions = task.decode(logits, features)
    for number, (text, prediction) in enumerate(zip(texts, predictions, strict=True)):
        windows = np.flatnonzero(features.row_numbers == number)
        best = {}
        for window in windows:
            first, offset, count = (int(features.places[name][window]) for name in ("first", "offset", "count"))
            for begin in range(count):
                context = {
                    other: min(place, int(features.places["count"][other]) - 1 - place)
                    + 0.01 * int(features.places["count"][other])
                    for other in windows
                    if 0
                    <= (place := first + begin - int(features.places["first"][other]))
                    < int(features.places["count"][other])
                }
                if max(context, key=lambda other: context[other]) != window:
                    continue
                for end in range(begin, min(count, begin + longest)):
                    score = float(logits[window, offset + begin, 0] + logits[window, offset + end, 1])
                    piece = text[first + begin : first + end + 1]
                    best[piece] = max(score, best.get(piece, -np.inf))
        wanted = sorted(best.values(), reverse=True)[:kept]
        mine = [candidate.score for candidate in prediction.candidates]
        assert mine == pytest.approx(wanted[: len(mine)], abs=1e-5)
        assert mine[0] == pytest.approx(wanted[0], abs=1e-5)
        for candidate in prediction.candidates:
            assert text[candidate.start : candidate.end] == candidate.text


def test_an_answer_is_the_very_characters_of_its_passage(tokenizer):
    context = "２０２４年🙂，“iPhone 15”在Café de Paris 發售；價格￥8，999。"
    task = dataclasses.replace(get_task("cmrc2018"), max_answer_length=60)
    for answer in ("２０２４年", "🙂", "iPhone 15", "Café de Paris", "￥8，999", context):
        one = row(context, answer=answer, place=context.index(answer))
        features = task.featurize([one], tokenizer, 128)
        prediction = task.decode(oracle(features), features)[0]
        assert prediction.text == answer
        assert context[prediction.candidates[0].start : prediction.candidates[0].end] == answer


def test_the_question_is_never_the_answer_and_padding_neither(tokenizer):
    task = get_task("cmrc2018")
    features = task.featurize([row("短文。", "问题问题问题" * 30), row("长文" * 20, "谁？")], tokenizer, 64)
    logits = np.zeros((len(features), 64, 2), np.float32)
    for window, (offset, count) in enumerate(zip(features.places["offset"], features.places["count"], strict=True)):
        logits[window, :offset] = logits[window, offset + count :] = 99
    for prediction in task.decode(logits, features):
        assert set(prediction.text) <= set("短文。长")


def test_a_passage_shorter_than_its_question_is_answered(tokenizer):
    features = get_task("cmrc2018").featurize([row("北京", "首都是哪座城市" * 40, "北京", 0)], tokenizer, 32)
    assert (len(features), len(features.input_ids[0])) == (1, 14 + 2 + 2 + 1)
    assert get_task("cmrc2018").decode(oracle(features), features)[0].text == "北京"


def test_windows_cover_the_passage_and_overlap(tokenizer):
    task = get_task("cmrc2018")
    features = task.featurize([row("天地玄黄宇宙洪荒" * 50, "何？")], tokenizer, 64)
    first, count = features.places["first"], features.places["count"]
    covered = np.zeros(400, int)
    for begin, size in zip(first, count, strict=True):
        covered[begin : begin + size] += 1
    assert covered.min() == 1
    assert (np.diff(first) <= count[:-1] // 2 + 1).all()
    assert all(len(ids) <= 64 for ids in features.input_ids)


# No answer


def test_no_answer_is_said_beyond_the_threshold_that_is_best_on_dev(tokenizer):
    task = get_task("squad2")
    rows = [row("red house", "which?", "red", 0), row("blue sky", "which?"), row("green tree", "which?", "tree", 6)]
    features = task.featurize(rows, tokenizer, 32)
    logits = oracle(features)
    logits[:, 0] = [[3, 3], [5, 5], [9, 9]]  # the last is surer of no answer than of its answer by less than the second
    logits[1, 5:7] = 1
    predictions = task.decode(logits, features)
    tuned = task.tuned(predictions, rows)
    assert [p.text for p in tuned.retold(predictions)] == ["red", "", "tree"]
    assert tuned.settings["null_threshold"] == pytest.approx(predictions[2].null_odds)
    assert tuned.with_settings(tuned.settings) == tuned
    given = dataclasses.replace(task, null_score_diff_threshold=-99.0)
    assert {p.text for p in given.retold(predictions)} == {""}
    assert given.tuned(predictions, rows) == given


def test_scores_of_answers_that_may_be_none():
    task = get_task("squad2")
    rows = [row("a b c", answer="b c", place=2), row("a b c")]

    def scored(*texts):
        scores = task.score([SpanPrediction(text, (), 0.0) for text in texts], rows)
        return scores["exact"], scores["f1"], scores["unanswerable_accuracy"]

    assert scored("b c", "") == (1, 1, 1)
    assert scored("", "") == (0.5, 0.5, 1)
    assert scored("b", "b") == (0, pytest.approx(1 / 3), 0)


# Files


def question(number=1, **changes):
    return {"id": f"q{number}", "question": "谁？", "answers": [{"text": "李白", "answer_start": 0}]} | changes


def written(folder, *questions, context="李白是唐代诗人。", name="dev.json"):
    paragraphs = [{"context": context, "qas": list(questions)}]
    text = json.dumps({"data": [{"title": "t", "paragraphs": paragraphs}]}, ensure_ascii=False)
    (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("questions", "message"),
    [
        ([question(answers=[])], r"question q1: no answer in a dev row"),
        ([question(), question()], r"question q1: the id comes twice"),
        ([question(answers=[{"text": "李白"}])], r"needs 'text' and 'answer_start'"),
        ([question(question=None)], r"question q1: no text in 'question'"),
        ([question(id="")], r"paragraphs\[0\]: a question without an 'id'"),
        ([], "holds no questions"),
    ],
)
def test_questions_that_cannot_be_used_are_named(tmp_path, questions, message):
    with pytest.raises(InputError, match=message):
        get_task("cmrc2018").read("dev", written(tmp_path, *questions))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2]", "not the SQuAD format"),
        ('{"data": [{}]}', r"data\[0\]: no list 'paragraphs'"),
        ('{"data": [{"paragraphs": [{"context": " ", "qas": []}]}]}', r"paragraphs\[0\]: no text in 'context'"),
        ('{"data": ', "dev.json:1: not JSON"),
    ],
)
def test_files_that_are_no_questions_are_named(tmp_path, text, message):
    (tmp_path / "dev.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        get_task("drcd").read("dev", tmp_path)


def test_train_leaves_out_what_cannot_be_learned_and_says_so_and_dev_keeps_it(tmp_path, caplog):
    odd = [
        question(1),
        question(2, answers=[{"text": "杜甫", "answer_start": 3}]),
        question(1),
        question(3, question=""),
    ]
    written(tmp_path, *odd, name="train.json")
    with caplog.at_level(logging.WARNING):
        assert [each.id for each in get_task("cmrc2018").read("train", tmp_path)] == ["q1"]
    assert "3 questions left out of training" in caplog.text
    assert "question q2 (at character 3 stands '唐代', not the answer '杜甫')" in caplog.text
    assert "question q1 (id repeated)" in caplog.text
    assert "question q3 (empty question)" in caplog.text
    written(tmp_path, *odd[:2], odd[3])
    rows = get_task("cmrc2018").read("dev", tmp_path)
    assert [each.id for each in rows] == ["q1", "q2", "q3"]
    right = [SpanPrediction(text, (), 0.0) for text in ("李白", "杜甫", "李白")]
    assert get_task("cmrc2018").score(right, rows)["exact"] == 1


def test_a_test_file_may_lack_answers(tmp_path):
    empty = [question(1, answers=[]), question(2, answers=[{"text": "", "answer_start": -1}])]
    rows = get_task("cmrc2018").read("test", written(tmp_path, *empty, name="test.json"))
    assert [each.answers for each in rows] == [None, None]
    assert not any(map(get_task("cmrc2018").has_gold, rows))


# Answers on disk


def test_predictions_come_back_as_they_were_written(tmp_path, tokenizer):
    task = get_task("squad2")
    rows = [row("two  spaces\tand a\u3000tab\n here", "what?", "spaces\tand", 5), row("nothing", "what?")]
    features = task.featurize(rows, tokenizer, 32)
    predictions = task.decode(oracle(features), features)
    path = task.write_predictions(tmp_path / "dev_predictions.tsv", rows, predictions)
    back = task.read_predictions(path)
    assert [each.text for each in back] == [each.text for each in predictions]
    assert [each.candidates for each in back] == [each.candidates for each in predictions]
    assert [each.null_odds for each in back] == pytest.approx([each.null_odds for each in predictions])
    path.write_text("id\tanswer\n1\tx\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"tsv:1: no column 'null_odds'"):
        task.read_predictions(path)


def test_the_submission_is_one_object_of_id_to_text_and_checked(tmp_path):
    task = get_task("cmrc2018")
    rows = task.read("test", DATA / "cmrc2018")
    predictions = [SpanPrediction(each.context[:3], (), 0.0) for each in rows]
    path = task.write_submission(tmp_path, rows, predictions)
    assert json.loads(path.read_text(encoding="utf-8")) == {each.id: each.context[:3] for each in rows}
    assert task.check_submission(tmp_path, rows, "test") == path
    path.write_text(json.dumps({each.id: each.context[:3] for each in rows[1:]}), encoding="utf-8")
    with pytest.raises(InputError, match="11 answers for 12 test rows"):
        task.check_submission(tmp_path, rows, "test")
    with pytest.raises(InputError, match="is no piece of its passage"):
        task.write_submission(tmp_path, rows, [SpanPrediction("不在文中的回答", (), 0.0), *predictions[1:]])


def test_rows_and_answers_as_people_read_them(tokenizer):
    task = get_task("cmrc2018")
    rows = [row("甲" * 200 + "李白" + "乙" * 200, "谁？", "李白", 200), row("杜甫。", "谁？", "杜甫", 0)]
    features = task.featurize(rows, tokenizer, 64)
    wrong = np.zeros_like(oracle(features))
    predictions = task.decode(wrong, features)
    told = task.told(rows[0], predictions[0])
    assert told.gold == "李白"
    assert told.text_a.startswith("谁？ ▸ ")
    assert "李白" in told.text_a
    mistakes, uncertain = task.hardest(rows, predictions, 2)
    assert 0 in mistakes
    assert sorted(uncertain) == [0, 1]
    assert task.breakdown(predictions, rows)[0] == ("问题 questions", "EM", "F1")
    assert task.trivial_baselines(rows, rows)[0].score > 0


def test_logits_of_other_windows_and_numbers_that_are_none_are_refused(tokenizer):
    task = get_task("cmrc2018")
    features = task.featurize([row("短文。")], tokenizer, 32)
    with pytest.raises(ValueError, match=r"are not \(1, length, 2\)"):
        task.decode(np.zeros((2, 9, 2)), features)
    with pytest.raises(ValueError, match="not finite"):
        task.decode(np.full((1, 9, 2), np.nan), features)
    with pytest.raises(InputError, match="too short for a question and a passage"):
        task.featurize([row("短文。")], tokenizer, 15)
    assert isinstance(features, Features)
