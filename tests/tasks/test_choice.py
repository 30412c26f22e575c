"""Multiple choice: sequences that keep question and choice, answers among a row's own choices, files that are wrong."""

import dataclasses
import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from albert_zh.cli import CHECKOUT
from albert_zh.files import InputError
from albert_zh.tasks import TASKS, get_task
from albert_zh.tasks.choice import Choice, ChoiceTask
from albert_zh.tasks.choice_readers import ChoiceRow
from albert_zh.text.tokenizer import load_tokenizer

DATA = Path(CHECKOUT) / "data"
CHOICES = [task for name, task in TASKS.items() if isinstance(task, ChoiceTask) and name == task.name]


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer("albert_config/vocab.txt")


def row(
    context="他去了北京。", question="他去哪儿了？", choices=("北京", "上海", "广州"), label=0, group="g", number=0
):
    return ChoiceRow(f"dev.json: question {number}", number, context, question, choices, label, group)


def blanks(count, candidates=10, group="dev.json:1"):
    idioms = tuple(f"{a}心{b}意" for a, b in itertools.islice(itertools.permutations("一二三四五", 2), candidates))
    return [
        ChoiceRow(f"{group}: #idiom{n}#", f"#idiom{n}#", f"他#idiom{n}#地说。", f"#idiom{n}#", idioms, n, group)
        for n in range(count)
    ]


def decoded(task, rows, logits, tokenizer):
    return task.decode(np.asarray(logits, np.float32), task.featurize(rows, tokenizer, 64))


def texts(features, tokenizer, number):
    """The two texts of a sequence, as people read them."""
    words = "".join(tokenizer.tokens(features.input_ids[number])).removeprefix("[CLS]").split("[SEP]")
    return words[0], words[1]


def written(folder, files):
    for name, value in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = value if isinstance(value, list) and name.endswith("l") else None
        text = "\n".join(json.dumps(line) for line in lines) if lines else json.dumps(value, ensure_ascii=False)
        path.write_text(text, encoding="utf-8")
    return folder


# What holds for all of them


@pytest.mark.parametrize("task", CHOICES, ids=lambda task: task.name)
@pytest.mark.parametrize("length", [24, 128])
def test_gold_answers_through_sequences_and_back_score_100(task, length, tokenizer):
    for split in ("train", "dev"):
        rows = task.read(split, DATA / task.name)
        features = task.featurize(rows, tokenizer, length)
        assert (len(features), len(features.labels)) == (len(rows) * task.choices, len(rows))
        assert max(map(len, features.input_ids)) <= length
        assert all(len(a) == len(b) for a, b in zip(features.input_ids, features.segment_ids, strict=True))
        predictions = task.decode(np.eye(task.choices)[features.labels] * 9, features)
        scores = task.score(predictions, rows)
        assert scores == {"accuracy": 1, "accuracy_low": 1, "accuracy_high": 1, "rows": len(rows)}
        assert all(sum(each.probabilities) == pytest.approx(1) for each in predictions)


@pytest.mark.parametrize("task", CHOICES, ids=lambda task: task.name)
def test_a_sequence_is_cls_first_sep_second_sep(task, tokenizer):
    rows = task.read("dev", DATA / task.name)
    features = task.featurize(rows, tokenizer, 40)
    for ids, segments in zip(features.input_ids, features.segment_ids, strict=True):
        if len(ids) == 1:
            assert ids.tolist() == [tokenizer.cls_id]
            continue
        ends = np.flatnonzero(ids == tokenizer.sep_id)
        assert (ids[0], len(ends), ends[-1]) == (tokenizer.cls_id, 2, len(ids) - 1)
        assert segments.tolist() == [0] * (ends[0] + 1) + [1] * (len(ids) - ends[0] - 1)


@pytest.mark.parametrize("task", CHOICES, ids=lambda task: task.name)
def test_predictions_come_back_from_their_table(task, tokenizer, tmp_path):
    rows = task.read("dev", DATA / task.name)
    logits = np.random.default_rng(1).normal(size=(len(rows), task.choices))
    predictions = decoded(task, rows, logits, tokenizer)
    path = task.write_predictions(tmp_path / "dev_predictions.tsv", rows, predictions)
    assert task.read_predictions(path) == predictions
    path.write_text(path.read_text("utf-8").replace("[0.", "[x", 1), encoding="utf-8")
    with pytest.raises(InputError, match=r"dev_predictions.tsv:2: not a row of predictions .*Predict again"):
        task.read_predictions(path)


@given(order=st.permutations(range(4)), seed=st.integers(0, 99))
def test_a_permutation_of_the_choices_permutes_the_answer(tokenizer, order, seed):
    task, choices = TASKS["c3"], ("北京", "上海", "广州", "深圳")
    logits = np.random.default_rng(seed).normal(size=(1, 4))
    before = decoded(task, [row(choices=choices)], logits, tokenizer)[0]
    after = decoded(task, [row(choices=tuple(choices[n] for n in order))], logits[:, order], tokenizer)[0]
    assert order[after.number] == before.number
    assert after.probabilities == pytest.approx([before.probabilities[n] for n in order])


@pytest.mark.parametrize("beyond", [1e30, np.inf, np.nan, -1e9])
@pytest.mark.parametrize("name", ["c3", "chid"])
def test_a_choice_that_is_not_there_is_never_the_answer(name, beyond, tokenizer):
    task = TASKS[name]
    rows = blanks(2, candidates=3) if name == "chid" else [row(), row(number=1)]
    logits = np.full((2, task.choices), beyond)
    logits[:, :3] = [[0, 2, 1], [3, 2, 1]]
    predictions = decoded(task, rows, logits, tokenizer)
    assert [each.number for each in predictions] == [1, 0]
    assert all(len(each.probabilities) == 3 and sum(each.probabilities) == pytest.approx(1) for each in predictions)
    features = task.featurize(rows, tokenizer, 64)
    assert [len(ids) == 1 for ids in features.input_ids[: task.choices]] == [False] * 3 + [True] * (task.choices - 3)


def test_logits_that_are_none_are_refused(tokenizer):
    with pytest.raises(ValueError, match=r"logits \(1, 3\) are not \(1, 4\)"):
        decoded(TASKS["c3"], [row()], np.zeros((1, 3)), tokenizer)
    with pytest.raises(ValueError, match="diverged"):
        decoded(TASKS["c3"], [row()], [[0, np.nan, 0, 0]], tokenizer)


def test_a_row_without_gold_is_not_scored():
    with pytest.raises(InputError, match=r"dev.json: question 0: no gold answer"):
        TASKS["c3"].score([Choice(0, (1.0, 0.0, 0.0))], [row(label=None)])
    assert not TASKS["c3"].has_gold(row(label=None))


def test_the_text_that_is_cut_is_the_passage(tokenizer):
    task = TASKS["c3"]
    features = task.featurize([row(context="天地玄黄宇宙洪荒" * 20)], tokenizer, 32)
    assert texts(features, tokenizer, 0) == (("天地玄黄宇宙洪荒" * 20)[: 32 - 3 - 8], "他去哪儿了？北京")
    assert features.truncated == 3


def test_of_a_question_longer_than_half_the_beginning_goes_and_the_choice_stays(tokenizer):
    features = TASKS["c3"].featurize([row("天" * 50, "问" * 50 + "？", ("北京", "上海"))], tokenizer, 33)
    assert texts(features, tokenizer, 1) == ("天" * 15, "问" * 12 + "？上海")
    short = TASKS["c3"].featurize([row("天", "问" * 20 + "？", ("北京", "上海"))], tokenizer, 33)
    assert texts(short, tokenizer, 0) == ("天", "问" * 20 + "？北京")


def test_each_distinct_text_is_tokenised_once(tokenizer, monkeypatch):
    seen, encode = [], tokenizer.encode
    monkeypatch.setattr(tokenizer, "encode", lambda text: seen.append(text) or encode(text))
    for task in CHOICES:
        task.featurize(task.read("train", DATA / task.name), tokenizer, 64)
        if task.name != "chid":
            assert len(seen) == len(set(seen))
        seen.clear()
    TASKS["chid"].featurize(blanks(4), tokenizer, 64)
    assert len(seen) == 10 + 4 * 2  # the candidates; what is before and after each blank


def test_a_length_without_room_is_refused(tokenizer):
    for task in CHOICES:
        with pytest.raises(InputError, match=r"max_seq_length is 15: too short for two texts. Use 16 or more"):
            task.featurize(task.read("dev", DATA / task.name), tokenizer, 15)
        assert max(map(len, task.featurize(task.read("dev", DATA / task.name), tokenizer, 16).input_ids)) <= 16


def test_the_baselines_are_a_place_and_shared_characters():
    task = TASKS["c3"]
    rows = [row(label=1), row(label=1), row(label=0)]
    place, overlap = task.trivial_baselines(rows, rows)
    assert (place.score, overlap.score) == (pytest.approx(2 / 3), pytest.approx(1 / 3))  # "北京" is in the passage
    idiom = TASKS["chid"].trivial_baselines([dataclasses.replace(blanks(1)[0], label=3)] * 2, blanks(5))[1]
    assert idiom.score == pytest.approx(1 / 5)


def test_the_gravest_mistakes_and_the_narrowest_answers_are_named():
    task, rows = TASKS["c3"], [row(label=0), row(label=0), row(label=1), row(label=None)]
    shares = [(0.2, 0.5, 0.3), (0.1, 0.9, 0.0), (0.4, 0.42, 0.18), (1.0, 0.0, 0.0)]
    predictions = [Choice(int(np.argmax(each)), each) for each in shares]
    assert task.hardest(rows, predictions, 2) == ([1, 0], [2, 0])
    told = task.told(rows[0], predictions[0])
    assert (told.gold, told.answer, told.confidence) == ("北京", "上海", 0.5)
    assert told.text_a == "他去了北京。 ▸ 他去哪儿了？ ▸ 北京 / 上海 / 广州"
    assert task.told(rows[3], predictions[3]).gold is None


# C3


def test_c3_is_its_two_files_or_one_of_them_or_one_of_both(tmp_path):
    task = TASKS["c3"]
    count = {name: len(task.read("dev", DATA / "c3")) for name in ("both",)}
    for part in "dm":
        shutil.copy(DATA / "c3" / f"c3-{part}-dev.json", tmp_path)
        count[part] = len(dataclasses.replace(task, files={"dev": (f"c3-{part}-dev.json",)}).read("dev", tmp_path))
    assert count["both"] == count["d"] + count["m"] == len(task.read("dev", tmp_path))
    (tmp_path / "c3-d-dev.json").unlink()
    assert len(task.read("dev", tmp_path)) == count["m"]
    (tmp_path / "c3-m-dev.json").rename(tmp_path / "dev.json")
    assert len(task.read("dev", tmp_path)) == count["m"]


def test_c3_keeps_the_turns_of_a_dialogue_and_scores_its_halves(tokenizer):
    task = TASKS["c3"]
    rows = task.read("dev", DATA / "c3")
    assert rows[0].context.count("\n") == 1
    features = task.featurize(rows, tokenizer, 128)
    assert texts(features, tokenizer, 0)[0] == rows[0].context.replace("\n", "")
    right = [Choice(each.label, (1.0,) * len(each.choices)) for each in rows]
    _, *parts = task.breakdown(right, rows)
    assert [part[0] for part in parts] == ["c3-d-dev.json", "c3-m-dev.json"]
    assert sum(int(part[1]) for part in parts) == len(rows)
    assert task.breakdown(right[:2], rows[:2]) == ()


def c3(question="他去哪儿了？", choice=("北京", "上海"), answer="北京", **more):
    asked = {"question": question, "choice": choice, "answer": answer, **more}
    return [[["他去了北京。"], [{key: value for key, value in asked.items() if value is not None}], "1-7"]]


def test_c3_s_answer_is_found_whatever_the_white_space_around_it(tmp_path):
    written(tmp_path, {"dev.json": c3(choice=["上海", "北京 "], answer=" 北京")})
    assert TASKS["c3"].read("dev", tmp_path)[0].label == 1


@pytest.mark.parametrize(
    ("held", "message"),
    [
        (c3(answer="东京"), 'dev.json: passage 1-7, question 1: the answer "东京" is none of the choices'),
        (c3(answer=3), "question 1: the answer 3 is none of the choices"),
        (c3(answer=None), "question 1: no answer in a dev row"),
        (c3(answer=""), "question 1: no answer in a dev row"),
        (c3(choice=["北京"]), r"question 1: a question needs a list of two choices or more, not \[\"北京\"\]"),
        (c3(choice=["北京", "  "]), 'question 1: a choice is "  ", not a text'),
        (c3(choice=["北京", "b", "c", "d", "e"]), "question 1: 5 choices; a row of c3 has at most 4"),
        (c3(question=None), "question 1: the question is null, not a text"),
        ([], "dev.json: no questions in it"),
        ({"data": []}, "dev.json: not C3's format"),
        ([["他去了北京。"]], r"dev.json: passage 0 is not \[lines, questions, id\]"),
        ([[[""], [], "1-7"]], 'dev.json: passage 1-7: a line is "", not a text'),
        ([[["他"], ["他？"], "1-7"]], 'question 1: "他？" is no JSON object'),
    ],
)
def test_what_is_wrong_in_c3_is_named(tmp_path, held, message):
    with pytest.raises(InputError, match=message):
        TASKS["c3"].read("dev", written(tmp_path, {"dev.json": held}))


def test_c3_s_answers_for_the_leaderboard(tmp_path):
    task = TASKS["c3"]
    ids = [15, 7, 22]
    tests = [c3(answer=None, id=row_id)[0] for row_id in ids]
    written(tmp_path, {"test1.1.json": tests, "test1.0.json": c3(answer=None) * 2})
    rows = task.read("test", tmp_path)
    assert [each.id for each in rows] == ids
    assert [each.label for each in rows] == [None] * 3
    answers = [Choice(number, (0.5, 0.5)) for number in (1, 0, 1)]
    path = task.write_submission(tmp_path, rows, answers)
    assert path.name == "c311_predict.json"
    assert path.read_text("utf-8") == '{"id": 15, "label": 1}\n{"id": 7, "label": 0}\n{"id": 22, "label": 1}\n'
    assert task.check_submission(tmp_path, rows, "test") == path
    path.write_text(path.read_text("utf-8").replace('"label": 0', '"label": 2'), encoding="utf-8")
    with pytest.raises(InputError, match=r"c311_predict.json:2: the answer 2 to 7 is no number from 0 to 1"):
        task.check_submission(tmp_path, rows, "test")
    old = task.read("test1.0", tmp_path)
    assert [each.id for each in old] == [0, 1]  # no ids in the file: numbered in its order
    assert task.write_submission(tmp_path, old, answers[:2], "test1.0").name == "c310_predict.json"
    with pytest.raises(InputError, match="is no number from 0 to 1"):
        task.write_submission(tmp_path, old, [Choice(2, (0.0, 0.0, 1.0))] * 2, "test1.0")
    with pytest.raises(InputError, match="no leaderboard file for 'dev'"):
        task.write_submission(tmp_path, old, answers[:2], "dev")
    with pytest.raises(InputError, match="no rows to answer"):
        task.write_submission(tmp_path, [], [])
    written(tmp_path, {"test1.1.json": [tests[0], tests[0]]})
    with pytest.raises(InputError, match="id 15 comes twice"):
        task.read("test", tmp_path)


# ChID


@given(seed=st.integers(0, 999), counts=st.lists(st.integers(1, 4), min_size=1, max_size=3), high=st.booleans())
@settings(deadline=None)
def test_an_idiom_is_given_once_in_a_row_and_the_whole_is_the_most_probable(tokenizer, seed, counts, high):
    task = TASKS["chid"]
    groups = [blanks(count, candidates=5, group=f"dev.json:{n}") for n, count in enumerate(counts)]
    rows = [each for group in groups for each in group]
    logits = np.random.default_rng(seed).normal(size=(len(rows), 10)) + np.eye(10)[0] * 3 * high  # all want the first
    order = np.random.default_rng(seed).permutation(len(rows))  # the rows of a group need not stand together
    answers = decoded(task, [rows[n] for n in order], logits[order], tokenizer)
    chosen = {rows[n].where: answer for n, answer in zip(order, answers, strict=True)}
    for group in groups:
        own = [chosen[each.where] for each in group]
        assert len({each.number for each in own}) == len(own)
        logs = np.log([each.probabilities for each in own])
        places = range(len(own))
        best = max(logs[places, each].sum() for each in itertools.permutations(range(5), len(own)))
        assert logs[places, [each.number for each in own]].sum() == pytest.approx(best)
    alone = decoded(dataclasses.replace(task, fix=False), rows, logits, tokenizer)
    assert [each.number for each in alone] == logits[:, :5].argmax(axis=1).tolist()


def test_whether_idioms_are_given_once_is_kept_with_a_model():
    task = dataclasses.replace(TASKS["chid"], fix=False)
    assert TASKS["chid"].with_settings(task.settings) == task
    assert not hasattr(TASKS["c3"], "fix")  # so that --fix is refused there


def test_the_window_is_centred_on_the_blank_and_the_other_blanks_are_unknown(tokenizer):
    left, right = "天地玄黄宇宙洪荒", "日月盈昃辰宿列张"
    one = dataclasses.replace(blanks(1, 2)[0], context=f"{left * 9}#idiom7#{left}#idiom0#{right}#idiom8#{right * 9}")
    task = dataclasses.replace(TASKS["chid"], choices=2)
    features = task.featurize([one], tokenizer, 43)
    room = 43 - 3 - 4 - 4  # 32 around the blank
    before = f"{left * 9}[UNK]{left}".replace("[UNK]", "?")[-room // 2 :].replace("?", "[UNK]")
    after = f"{right}[UNK]{right * 9}".replace("[UNK]", "?")[: room // 2].replace("?", "[UNK]")
    assert texts(features, tokenizer, 0) == (one.choices[0], f"{before}[MASK][MASK][MASK][MASK]{after}")
    short = dataclasses.replace(one, context=f"天地#idiom0#{right * 9}")
    assert texts(task.featurize([short], tokenizer, 43), tokenizer, 1) == (
        one.choices[1],
        f"天地[MASK][MASK][MASK][MASK]{(right * 9)[: room - 2]}",
    )
    assert task.asked(one) == f"…{left * 6}（　　）{left}【？】{right}（　　）{right * 6}…"


def test_a_few_blanks_are_whole_rows_of_the_file():
    task = TASKS["chid"]
    rows = task.read("train", DATA / "chid")
    few, more = task.sample(rows, 5, 3), task.sample(rows, 12, 3)
    sizes = {group: sum(each.group == group for each in rows) for group in {each.group for each in rows}}
    assert 5 <= len(few) < 5 + max(sizes.values())
    assert len(few) == sum(sizes[group] for group in {each.group for each in few})
    assert set(few) <= set(more)
    assert few == [each for each in rows if each in few] == task.sample(rows, 5, 3)
    assert len(TASKS["c3"].sample(TASKS["c3"].read("train", DATA / "c3"), 5, 0)) == 5


CANDIDATES = ["一心一意", "三心二意", "五心六意"]


def chid(folder, lines, answers=None, split="dev"):
    folder.mkdir(exist_ok=True)
    text = "\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
    (folder / f"{split}.json").write_text(text, encoding="utf-8")
    if answers is not None:
        (folder / f"{split}_answer.json").write_text(json.dumps(answers), encoding="utf-8")
    return folder


def line(*content, candidates=CANDIDATES):
    return {"candidates": candidates, "content": list(content)}


@pytest.mark.parametrize(
    ("lines", "answers", "message"),
    [
        ([line("他#idiom1#。")], {}, "dev.json:1: #idiom1#: no answer in a dev row"),
        ([line("他#idiom1#。")], {"#idiom1#": 3}, "#idiom1#: the answer is 3, not a number from 0 to 2"),
        ([line("他#idiom1#。")], {"#idiom1#": -1}, "the answer is -1"),
        ([line("他#idiom1#。")], {"#idiom1#": True}, "the answer is true"),
        ([line("他#idiom1#。")], {"#idiom1#": "1"}, 'the answer is "1"'),
        ([line("他#idiom1#。"), line("她#idiom1#。")], {"#idiom1#": 0}, "dev.json:2: #idiom1#: the blank comes twice"),
        ([line("他#idiom1#，#idiom1#。")], {"#idiom1#": 0}, "the blank comes twice"),
        ([line("他#idiom1#。", candidates=CANDIDATES[:2] * 2)], {"#idiom1#": 0}, "are not all different"),
        ([line("#idiom1##idiom2#", "#idiom3##idiom4#")], {}, "dev.json:1: 4 blanks for 3 candidates"),
        ([line("他说。")], {}, "dev.json:1: 0 blanks for 3 candidates"),
        ([line("他#idiom1#。", candidates=["一心一意"])], {}, "needs a list of two candidates or more"),
        ([line(3)], {}, "dev.json:1: a text is 3, not a text"),
        ([line("他#idiom1#。")], [1], r"dev_answer.json: \[1\] is no JSON object"),
        ([line("他#idiom1#。")], None, "dev.json: no answers. Put them beside it, as dev_answer.json"),
        ([line("他#idiom1#。", candidates=[f"{n}心一意" for n in "一二三四五六七八九十百"])], {"#idiom1#": 0},
         "11 choices; a row of chid has at most 10"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_chid_is_named(tmp_path, lines, answers, message):
    with pytest.raises(InputError, match=message):
        TASKS["chid"].read("dev", chid(tmp_path, lines, answers))


def test_answers_lie_beside_a_file_of_one_s_own_and_count_among_what_a_run_is_made_from(tmp_path):
    task = dataclasses.replace(TASKS["chid"], files={"train": ("mine.json",)})
    chid(tmp_path, [line("他#idiom1#。")], {"#idiom1#": 1}, "mine")
    assert task.read("train", tmp_path)[0].label == 1
    before = task.fingerprint("train", tmp_path)
    chid(tmp_path, [line("他#idiom1#。")], {"#idiom1#": 2}, "mine")
    assert task.fingerprint("train", tmp_path) != before


def test_answers_to_blanks_that_are_not_there_are_told(tmp_path, caplog):
    TASKS["chid"].read("dev", chid(tmp_path, [line("他#idiom1#。")], {"#idiom1#": 1, "#idiom2#": 1}))
    assert "1 answers to blanks that dev.json does not hold" in caplog.text


def test_chid_s_answers_for_the_leaderboard_are_one_object(tmp_path):
    task = TASKS["chid"]
    for split, name in (("test", "chid11_predict.json"), ("test1.0", "chid10_predict.json")):
        rows = task.read(split, DATA / "chid")
        answers = [Choice(n % 10, (0.1,) * 10) for n in range(len(rows))]
        path = task.write_submission(tmp_path, rows, answers, split)
        assert path.name == name
        held = json.loads(path.read_text("utf-8"))
        assert held == {each.question: n % 10 for n, each in enumerate(rows)}
        assert list(held) == [each.question for each in rows]
        assert task.check_submission(tmp_path, rows, split) == path
        path.write_text(json.dumps(held | {rows[0].question: 10}), encoding="utf-8")
        with pytest.raises(InputError, match=f"the answer 10 to {rows[0].question} is no number from 0 to 9"):
            task.check_submission(tmp_path, rows, split)


# RACE


def race(**changes):
    held = {"id": "high7.txt", "article": "Tom ran.", "questions": ["Tom _ .", "Who ran?"], "answers": ["B", "A"]}
    return held | {"options": [["sat", "ran"], ["Tom", "Ann"]]} | changes


def test_a_choice_is_put_into_the_blank_or_after_the_question(tmp_path, tokenizer):
    written(tmp_path, {"dev/high/7.txt": race()})
    (tmp_path / "dev/high/._7.txt").write_bytes(b"\x00\xff")  # what a Mac's archive leaves
    rows = TASKS["race"].read("dev", tmp_path)
    assert [(each.id, each.label, each.part) for each in rows] == [("high7-1", 1, "high"), ("high7-2", 0, "high")]
    features = TASKS["race"].featurize(rows, tokenizer, 64)
    first, second = (tokenizer.tokens(features.input_ids[n]) for n in (1, 4))
    assert first == ["[CLS]", *tokenizer.tokenize("Tom ran."), "[SEP]", *tokenizer.tokenize("Tom ran ."), "[SEP]"]
    assert second == ["[CLS]", *tokenizer.tokenize("Tom ran."), "[SEP]", *tokenizer.tokenize("Who ran? Tom"), "[SEP]"]


def test_race_is_both_schools_or_one(tmp_path):
    written(tmp_path, {"train/high/7.txt": race(), "train/middle/2.txt": race(id="middle2.txt")})
    rows = TASKS["race"].read("train", tmp_path)
    assert [each.id for each in rows] == ["middle2-1", "middle2-2", "high7-1", "high7-2"]
    assert [part[0] for part in TASKS["race"].breakdown([Choice(0, (1.0, 0.0))] * 4, rows)[1:]] == ["middle", "high"]
    shutil.rmtree(tmp_path / "train" / "middle")
    assert len(TASKS["race"].read("train", tmp_path)) == 2


@pytest.mark.parametrize(
    ("held", "message"),
    [
        (race(answers=["B", "E"]), r"7.txt: question 2: the answer is \"E\", not one of A, B"),
        (race(answers=["B", 1]), "question 2: the answer is 1"),
        (race(answers=["B"]), "2 questions, 2 lists of options and 1 answers"),
        (race(answers=["B", ""]), "question 2: no answer in a dev row"),
        (race(options=[["sat", "ran"], "Tom"]), "question 2: a question needs a list of two options or more"),
        (race(options=None), "'options' is null, not a list"),
        (race(article=" "), "the article is"),
        ([1], r"7.txt: \[1\] is no JSON object"),
    ],
)
def test_what_is_wrong_in_race_is_named(tmp_path, held, message):
    with pytest.raises(InputError, match=message):
        TASKS["race"].read("dev", written(tmp_path, {"dev/high/7.txt": held}))


# COPA


def copa(**changes):
    return {"premise": "It rained.", "choice1": "I slept.", "choice2": "I got wet.", "question": "effect", "idx": 4,
            "label": 1} | changes  # fmt: skip


def test_what_happened_first_comes_first(tmp_path, tokenizer):
    written(tmp_path, {"val.jsonl": [copa(), copa(question="cause")]})
    rows = TASKS["copa"].read("dev", tmp_path)
    assert [(each.id, each.label) for each in rows] == [(4, 1), (4, 1)]
    features = TASKS["copa"].featurize(rows, tokenizer, 64)
    rain, sleep = ("".join(tokenizer.tokenize(text)) for text in ("It rained.", "I slept."))
    assert texts(features, tokenizer, 0) == (rain, sleep)
    assert texts(features, tokenizer, 2) == (sleep, rain)


@pytest.mark.parametrize(
    ("held", "message"),
    [
        (copa(label=2), "val.jsonl:1: the answer is 2, not a number from 0 to 1"),
        (copa(label=None), "val.jsonl:1: no answer in a dev row"),
        (copa(question="why"), 'val.jsonl:1: the question is "why", not "cause" or "effect"'),
        (copa(choice2=None), "val.jsonl:1: a choice is null, not a text"),
        (copa(premise=""), 'val.jsonl:1: the premise is "", not a text'),
    ],
)
def test_what_is_wrong_in_copa_is_named(tmp_path, held, message):
    with pytest.raises(InputError, match=message):
        TASKS["copa"].read("dev", written(tmp_path, {"val.jsonl": [held]}))


def test_a_test_split_may_lack_its_answers_and_no_other_split():
    for name, task in (("copa", get_task("copa")), ("chid", get_task("chid"))):
        assert not any(map(task.has_gold, task.read("test", DATA / name)))
