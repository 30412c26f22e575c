"""Texts with entities from their files to tags, windows and back to exact characters; files that cannot be used."""

import dataclasses
import json
import logging
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from albert_zh.cli import CHECKOUT
from albert_zh.files import InputError
from albert_zh.tasks import TASKS, get_task, task_of
from albert_zh.tasks.custom import custom_from, custom_tagging, describe
from albert_zh.tasks.entities import Entity
from albert_zh.tasks.entity_reader import TaggedRow, joined, read_entities
from albert_zh.tasks.tagging import Tagging, TaggingTask, windows
from albert_zh.text.tokenizer import load_tokenizer

DATA = Path(CHECKOUT) / "data"
TASKS_OF_ENTITIES = [task for name, task in TASKS.items() if isinstance(task, TaggingTask) and name == task.name]
TOY = TaggingTask(name="toy", files={"train": ("train.txt",), "test": ("test.txt",)}, recipe=None, types=("X", "Y"))


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer("albert_config/vocab.txt")


@pytest.fixture
def file(tmp_path):
    """``file(name, text)`` writes a file and returns its path."""

    def write(name, text):
        (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path / name

    return write


def row(text, *entities, where="dev.json:1", id=0):
    return TaggedRow(where, id, text, tuple(Entity(*entity) for entity in entities))


def oracle(features, width, high=9.0):
    """Logits that say the gold tag of every token, in every window."""
    logits = np.zeros((len(features), max(map(len, features.input_ids)), width), np.float32)
    for window, tags in enumerate(features.labels):
        known = np.flatnonzero(tags >= 0)
        logits[window, known, tags[known]] = high
    return logits


def read_all(path, types=None, lacking=False):
    return read_entities(path, types, may_lack_gold=lacking)


# Gold through tags and back


@pytest.mark.parametrize("task", TASKS_OF_ENTITIES, ids=lambda task: task.name)
@pytest.mark.parametrize("length", [16, 128])
@pytest.mark.parametrize("crf", [False, True])
def test_gold_entities_through_windows_and_back_score_100(task, length, crf, tokenizer):
    zeros = np.zeros(len(task.labels))
    chain = {"transitions": np.zeros((len(zeros), len(zeros))), "first": zeros, "last": zeros} if crf else {}
    for split in ("train", "dev"):
        rows = task.read(split, DATA / task.name)
        features = task.featurize(rows, tokenizer, length)
        assert max(map(len, features.input_ids)) <= length
        assert (len(features) > len(rows)) == (length == 16)
        predictions = task.decode(oracle(features, len(task.labels)), features, **chain)
        scores = task.score(predictions, rows)
        assert (scores["f1"], scores["precision"], scores["recall"], scores["f1_low"]) == (1, 1, 1, 1)
        assert scores["entities"] == sum(len(row.entities) for row in rows)
        assert features.places["widened"].sum() == 0


def test_every_type_is_among_the_samples():
    for task in TASKS_OF_ENTITIES:
        for split in ("train", "dev"):
            found = {entity.type for row in task.read(split, DATA / task.name) for entity in row.entities}
            assert found == set(task.types)


def test_an_entity_is_the_very_characters_of_its_text(tokenizer):
    text = "２０２４年🙂\t“iPhone 15”在Café de Paris\u3000發售；價格￥8，999。한국어"
    for mention in ("２０２４年", "🙂", "iPhone 15", "Café de Paris", "￥8，999", "한국어", text):
        start = text.index(mention)
        one = row(text, ("X", start, start + len(mention)))
        for length in (8, 12, 64):
            features = TOY.featurize([one], tokenizer, length)
            assert TOY.decode(oracle(features, 5), features)[0].entities == one.entities


def test_what_ends_inside_a_token_is_widened_to_it_and_counted(tokenizer, caplog):
    rows = [row("买iphone吧", ("X", 1, 4), where="a.json:3"), row("看iphone吧", ("X", 1, 7))]
    with caplog.at_level(logging.WARNING):
        features = TOY.featurize(rows, tokenizer, 16)
    assert features.places["widened"].tolist() == [1, 0]
    assert "taken as the whole token: 1: a.json:3 'iph'" in caplog.text
    found = [each.entities for each in TOY.decode(oracle(features, 5), features)]
    assert found == [(Entity("X", 1, 7),)] * 2


def test_two_entities_in_one_token_are_the_first_ones(tokenizer, caplog):
    one = row("买iphone手机", ("X", 1, 4), ("Y", 4, 9), ("Y", 4, 6))
    features = TOY.featurize([one], tokenizer, 16)
    assert features.places["widened"].tolist() == [2]
    assert TOY.decode(oracle(features, 5), features)[0].entities == (Entity("X", 1, 7), Entity("Y", 7, 9))


def test_the_pieces_of_a_composed_character_are_one_entity_s(file):
    pieces = ["ᄒ", "##ᅡ", "##ᆫ", "天"]
    vocabulary = file("vocab.txt", "\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *pieces]) + "\n")
    features = TOY.featurize([row("한天", ("X", 0, 1), ("Y", 1, 2))], load_tokenizer(vocabulary), 16)
    assert features.places["starts"].tolist() == [0, 0, 0, 1]
    assert features.labels[0].tolist() == [-1, 1, 2, 2, 3, -1]
    logits = np.zeros((1, 6, 5), np.float32)
    logits[0, :, 1] = 9  # each token begins an entity of its own
    assert TOY.decode(logits, features)[0].entities == (Entity("X", 0, 1), Entity("X", 1, 2))


def test_a_text_without_a_token_has_no_entity(tokenizer):
    features = TOY.featurize([row("\u200b"), row("天", ("X", 0, 1))], tokenizer, 16)
    assert [len(ids) for ids in features.input_ids] == [2, 3]
    found = TOY.decode(oracle(features, 5), features)
    assert [each.entities for each in found] == [(), (Entity("X", 0, 1),)]


# Windows


@given(tokens=st.integers(0, 200), room=st.integers(6, 40))
def test_a_token_s_scores_are_those_of_the_window_that_shows_most_around_it(tokens, room):
    firsts, owner = windows(tokens, room)
    assert len(owner) == tokens
    assert firsts[0] == 0
    assert (np.diff(firsts) > 0).all()
    assert (np.diff(firsts) <= room - room // 4).all()  # neighbours share a quarter
    assert max(tokens - room, 0) == firsts[-1]

    def context(window, token):
        first, end = firsts[window], firsts[window] + room
        if not first <= token < end:
            return -1
        return min(token - first if first else room, end - 1 - token if end < tokens else room)

    for token, window in enumerate(owner):
        assert context(window, token) == max(context(other, token) for other in range(len(firsts)))


def test_the_whole_text_is_decoded_at_once(tokenizer):
    # An entity across the seam of two windows, whose second half a window alone could not begin with.
    one = row("天" * 9 + "地" * 6 + "人" * 9, ("X", 9, 15))
    features = TOY.featurize([one], tokenizer, 16)
    assert len(features) == 2
    assert TOY.decode(oracle(features, 5), features)[0].entities == one.entities


def test_a_window_has_the_tags_of_its_tokens_and_none_for_its_ends(tokenizer):
    features = TOY.featurize([row("天地人和", ("Y", 1, 3))], tokenizer, 16)
    assert features.labels[0].tolist() == [-1, 0, 3, 4, 0, -1]
    assert features.labels[0].dtype == np.int32
    unknown = TOY.featurize([TaggedRow("t:1", 0, "天地", None)], tokenizer, 16)
    assert unknown.labels[0].tolist() == [-1] * 4


# Decoding


def test_what_goes_on_with_nothing_is_never_said(tokenizer):
    features = TOY.featurize([row("天地人")], tokenizer, 16)
    logits = np.zeros((1, 5, 5), np.float32)
    logits[0, 1:4, 2] = [9, 9, 9]  # I-X three times
    logits[0, 1, 1] = 8
    prediction = TOY.decode(logits, features)[0]
    assert prediction.entities == (Entity("X", 0, 3),)
    assert prediction.confidences[0] < 0.8  # the first token's B has a small share


def test_confidence_is_the_mean_share_of_the_entity_s_tags(tokenizer):
    features = TOY.featurize([row("天地人")], tokenizer, 16)
    logits = np.zeros((1, 5, 5), np.float32)
    logits[0, 1, 1], logits[0, 2, 2], logits[0, 3, 0] = 3, 2, 1
    prediction = TOY.decode(logits, features)[0]
    share = [np.exp(high) / (np.exp(high) + 4) for high in (3, 2)]
    assert prediction == Tagging((Entity("X", 0, 2),), (pytest.approx(np.mean(share)),))
    assert prediction.confidence == prediction.confidences[0]
    assert Tagging((), ()).confidence is None


def test_the_chain_decides_with_the_scores(tokenizer):
    features = TOY.featurize([row("天地")], tokenizer, 16)
    logits = np.zeros((1, 4, 5), np.float32)
    logits[0, 1, 1] = logits[0, 2, 0] = 1
    chain = {"transitions": np.zeros((5, 5)), "first": np.zeros(5), "last": np.zeros(5)}
    assert TOY.decode(logits, features, **chain)[0].entities == (Entity("X", 0, 1),)
    chain["transitions"][1, 2] = 3
    assert TOY.decode(logits, features, **chain)[0].entities == (Entity("X", 0, 2),)
    chain["first"][3] = 9
    assert TOY.decode(logits, features, **chain)[0].entities[0].type == "Y"
    chain["last"][1] = 99
    assert Entity("X", 1, 2) in TOY.decode(logits, features, **chain)[0].entities


def test_padding_and_special_tokens_say_nothing(tokenizer):
    rows = [row("天", ("X", 0, 1)), row("天地人和", ("Y", 3, 4))]
    features = TOY.featurize(rows, tokenizer, 16)
    logits = oracle(features, 5)
    logits[:, 0, 2] = logits[0, 2:, 1] = 99
    assert [each.entities for each in TOY.decode(logits, features)] == [each.entities for each in rows]


@pytest.mark.parametrize(
    "bad", [np.zeros((1, 4, 4)), np.zeros((2, 4, 5)), np.zeros((1, 20)), np.full((1, 4, 5), np.nan)]
)
def test_logits_of_something_else_are_refused(bad, tokenizer):
    with pytest.raises(ValueError, match="toy"):
        TOY.decode(bad, TOY.featurize([row("天地")], tokenizer, 16))


# Reading JSON lines


def test_a_row_of_json_lines_is_its_entities(file):
    path = file(
        "train.json",
        '{"text":"李明、李明","label":{"X":{"李明":[[0,1],[3,4]]},"Y":{"、":[[2,2],[2,2]]}}}\n\n{"text":"空","label":{}}\n',
    )
    rows = read_all(path)
    assert rows[0] == row("李明、李明", ("X", 0, 2), ("Y", 2, 3), ("X", 3, 5), where=f"{path}:1")
    assert rows[1] == TaggedRow(f"{path}:3", 1, "空", ())


def test_overlapping_entities_are_noted_not_learned_and_missed(file, caplog, tokenizer):
    path = file(
        "train.json", '{"text":"《招商银行史》","label":{"X":{"招商银行":[[1,4]]},"Y":{"《招商银行史》":[[0,6]]}}}\n'
    )
    with caplog.at_level(logging.WARNING):
        rows = read_all(path)
    assert f"{path}:1 '招商银行' X" in caplog.text
    assert len(rows[0].entities) == 2
    features = TOY.featurize(rows, tokenizer, 16)
    scores = TOY.score(TOY.decode(oracle(features, 5), features), rows)
    assert (scores["precision"], scores["recall"]) == (1, 0.5)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"text":"李明","label":{"X":{"李四":[[0,1]]}}}', "X '李四' is said to be characters 0 to 1, .* '李明'"),
        ('{"text":"李明","label":{"X":{"李明":[[0,2]]}}}', "is said to be characters 0 to 2"),
        ('{"text":"李明","label":{"X":{"明":[[-1,-1]]}}}', "is said to be characters -1 to -1"),
        ('{"text":"李明","label":{"Z":{"李明":[[0,1]]}}}', "no type 'Z'; the types are X, Y"),
        ('{"text":"李明","label":{"X":{"李明":[[0,1,2]]}}}', '"label" is not as it must be'),
        ('{"text":"李明","label":{"X":{"李明":[["0","1"]]}}}', '"label" is not as it must be'),
        ('{"text":"李明","label":{"X":{"李明":[0,1]}}}', '"label" is not as it must be'),
        ('{"text":"李明","label":["X"]}', '"label" is not as it must be'),
        ('{"text":"李明","label":{"X":["李明"]}}', '"label" is not as it must be'),
        ('{"text":"李明"}', 'no "label"'),
        ('{"text":" ","label":{}}', '"text" is " "'),
        ('{"text":["李"],"label":{}}', '"text" is \\["李"\\]'),
        ('{"label":{}}', '"text" is null'),
        ("李明", "not JSON"),
        ("[1]", "not an object"),
    ],
)
def test_a_malformed_json_row_is_named(line, said, file):
    path = file("train.json", '{"text":"天","label":{}}\n' + line + "\n")
    with pytest.raises(InputError, match=f"train.json:2: .*{said}"):
        read_all(path, ("X", "Y"))


def test_a_test_row_may_lack_gold_but_not_be_wrong(file):
    path = file("test.json", '{"id":7,"text":"李明"}\n{"id":8,"text":"天","label":{"X":{"天":[[0,0]]}}}\n')
    rows = read_all(path, ("X",), lacking=True)
    assert [(each.id, each.entities) for each in rows] == [(7, None), (8, (Entity("X", 0, 1),))]
    assert [TOY.has_gold(each) for each in rows] == [False, True]
    file("test.json", '{"id":7,"text":"李明","label":{"X":{"李四":[[0,1]]}}}\n')
    with pytest.raises(InputError, match=r"test.json:1: X '李四'"):
        read_all(path, ("X",), lacking=True)


@pytest.mark.parametrize("name", ["train.json", "train.txt"])
def test_a_file_without_rows_is_refused(name, file):
    with pytest.raises(InputError, match=f"{name}: the file holds no rows"):
        read_all(file(name, "\n\n"))


# Reading columns


def columns(text, scheme):
    """A text marked ``李明/X`` by words, as a file of columns."""
    lines = []
    for word in text.split():
        piece, _, name = word.partition("/")
        for place, character in enumerate(piece):
            last, first = place == len(piece) - 1, place == 0
            if not name:
                lines.append(f"{character} O")
                continue
            letter = {"BIO": "B" if first else "I", "BMES": "S" if first and last else "BME"[(not first) + last]}
            letter["BIOES"] = letter["BMES"].replace("M", "I")
            lines.append(f"{character} {letter[scheme]}-{name}")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("scheme", ["BIO", "BMES", "BIOES"])
def test_all_schemes_of_columns_are_the_same_entities(scheme, file):
    first, second = "李明/X 在 北京/Y 住 京/Y", "我 爱 上海人/X 上海/Y"
    rows = read_all(file("train.txt", columns(first, scheme) + "\n\n" + columns(second, scheme)), ("X", "Y"))
    assert [each.text for each in rows] == ["李明在北京住京", "我爱上海人上海"]
    assert rows[0].entities == (Entity("X", 0, 2), Entity("Y", 3, 5), Entity("Y", 6, 7))
    assert rows[1].entities == (Entity("X", 2, 5), Entity("Y", 5, 7))
    assert [each.where.rpartition(":")[2] for each in rows] == ["1", "10"]
    assert [each.id for each in rows] == [0, 1]


def test_words_keep_their_characters_whatever_stands_between(file):
    path = file("train.txt", "用\tO\nApple\tB-X\nWatch\tI-X\n，\tO\nNew York\tB-Y\n市\tI-Y\n \tO\n\tO\nok\tO\n")
    (only,) = read_all(path)
    assert only.text == "用Apple Watch，New York市  ok"
    assert [only.text[e.start : e.end] for e in only.entities] == ["Apple Watch", "New York市"]
    (only,) = read_all(file("a.txt", "i O\nP B-X\na I-X\nd E-X\n9 O\n  O\n　 O\n好 O \n"))
    assert (only.text, only.entities) == ("iPad9 　好".replace("　", " "), (Entity("X", 1, 4),))


def test_going_on_with_nothing_begins(file):
    (only,) = read_all(file("train.txt", "李 I-X\n明 I-X\n北 I-Y\n"))
    assert only.entities == (Entity("X", 0, 2), Entity("Y", 2, 3))


def test_the_places_in_words_of_weibo_are_no_characters(file):
    path = file("weiboNER_2nd_conll.train", "科0\tB-X\n技1\tI-X\n我0\tO\n10\tO\n51\tO\n。0\tO\n\n大0\tO\n学1\tO\n")
    assert [each.text for each in read_all(path)] == ["科技我15。", "大学"]
    (only,) = read_all(file("own.txt", "A1\tB-X\nB2\tI-X\n号\tO\n"))  # names with numbers stay
    assert only.text == "A1 B2号"


@pytest.mark.parametrize(
    ("lines", "line", "said"),
    [
        ("李 B-X\n明\n", 2, "1 columns where the first row has 2"),
        ("李\n明 I-X\n", 1, "1 column where 2 are needed"),
        ("李 名 B-X\n", 1, "3 columns where 2 are needed"),
        ("李\tNR\tB-X\n", 1, "3 columns where 2 are needed"),
        ("李 B-X\n\n\n明 X\n", 4, "the tag 'X' is neither O nor"),
        ("李 B-X\n明 B-\n", 2, "the tag 'B-' is neither O nor"),
        ("李 B-X\n明 I-Z\n", 2, "no type 'Z'; the types are X, Y"),
    ],
)
def test_a_malformed_column_row_is_named(lines, line, said, file):
    with pytest.raises(InputError, match=f"train.txt:{line}: {said}"):
        read_all(file("train.txt", lines), ("X", "Y"))


def test_a_test_file_of_words_alone_has_no_gold(file):
    path = file("test.txt", "李\n明\n\n天\n")
    rows = TOY.read("test", path.parent)
    assert [(each.text, each.entities) for each in rows] == [("李明", None), ("天", None)]
    file("test.txt", "李\n明 O\n")
    with pytest.raises(InputError, match=r"test.txt:2: 2 columns where the first row has 1"):
        TOY.read("test", path.parent)


@given(st.lists(st.text("天地aZ9é。 ", min_size=1, max_size=4), max_size=9))
def test_joined_words_are_where_they_are_said_to_be(words):
    text, spots = joined(words)
    assert [text[start:end] for start, end in spots] == words


# Scores, baselines, what is shown


def test_scores_count_exact_entities_and_refuse_rows_without_gold():
    rows = [row("天地人和", ("X", 0, 2), ("Y", 2, 4)), row("天地", ("X", 0, 1)), row("空")]
    mine = [((Entity("X", 0, 2), Entity("X", 2, 4)), (0.9, 0.8)), ((), ()), ((), ())]
    scores = TOY.score([Tagging(*each) for each in mine], rows)
    assert (scores["precision"], scores["recall"], scores["f1"]) == (1 / 2, 1 / 3, pytest.approx(0.4))
    assert (scores["rows"], scores["entities"]) == (3, 3)
    assert scores["f1_low"] <= scores["f1"] <= scores["f1_high"]
    table = TOY.breakdown([Tagging(*each) for each in mine], rows)
    assert [line[0] for line in table] == ["类型 type", "全部 all", "X", "Y"]
    assert table[2] == ("X", "50.00%", "50.00%", "50.00%", "2")
    with pytest.raises(InputError, match="t:3: no gold"):
        TOY.score([Tagging((), ())], [TaggedRow("t:3", 0, "天", None)])
    with pytest.raises(ValueError, match="1 predictions for 3 rows"):
        TOY.score([Tagging((), ())], rows)


def test_the_dictionary_takes_the_longest_and_the_most_frequent_type():
    train = [row("北京", ("X", 0, 2)), row("北京", ("Y", 0, 2)), row("北京", ("Y", 0, 2)), row("北京大学", ("X", 0, 4))]
    scored = [row("在北京大学", ("X", 1, 5)), row("在北京大", ("Y", 1, 3)), row("北京", ("X", 0, 2))]
    none, words = TOY.trivial_baselines(train, scored)
    assert none.score == 0
    assert words.score == pytest.approx(2 / 3)
    assert "2 mentions" in words.rule


def test_the_surest_mistakes_come_first():
    rows = [row("天地", ("X", 0, 1)) for _ in range(5)]
    right, wrong = Entity("X", 0, 1), Entity("Y", 1, 2)
    answers = [
        Tagging((right,), (0.4,)),
        Tagging((right, wrong), (0.9, 0.6)),
        Tagging((), ()),
        Tagging((wrong,), (0.8,)),
        Tagging((right,), (0.99,)),
    ]
    mistakes, uncertain = TOY.hardest(rows, answers, 3)
    assert mistakes == [3, 1, 2]
    assert uncertain == [0, 1, 3]
    told = TOY.told(rows[3], answers[3])
    assert (told.text_a, told.gold, told.answer, told.confidence) == ("天地", "[天|X]地", "天[地|Y]", 0.8)
    assert TOY.told(TaggedRow("t:1", 0, "天", None), Tagging((), ())).gold is None


def test_a_sample_holds_so_many_sentences_of_every_type():
    task = get_task("cluener")
    rows = task.read("train", DATA / "cluener")
    for count in (1, 3):
        few = task.sample(rows, count, seed=5)
        assert few == task.sample(rows, count, seed=5)
        for name in task.types:
            held = sum(name in task.groups(each) for each in rows)
            assert sum(name in task.groups(each) for each in few) >= min(count, held)
        assert [rows.index(each) for each in few] == sorted(rows.index(each) for each in few)
    assert len(task.sample(rows, 1, seed=5)) <= len(task.types)


# Files of answers


def test_a_table_of_answers_is_read_as_it_was_written(tmp_path):
    task = dataclasses.replace(TOY, types=("X", "有 空格"))
    rows = [row("天\t地\n人", ("X", 0, 3)), row("空"), TaggedRow("t:3", "k3", '引"号', None)]
    answers = [
        Tagging((Entity("有 空格", 0, 1), Entity("X", 2, 5)), (0.25, 1.0)),
        Tagging((), ()),
        Tagging((Entity("X", 0, 1),), (0.123456,)),
    ]
    path = task.write_predictions(tmp_path / "dev_predictions.tsv", rows, answers)
    assert task.read_predictions(path) == answers
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].split("\t") == ["id", "text", "gold", "entities"]
    assert lines[1].split("\t")[:3] == ["0", "天 地 人", '[["X",0,3]]']
    path.write_text('id\ttext\tgold\tentities\n0\t天\t[]\t[["Z",0,1,0.5]]\n', encoding="utf-8")
    with pytest.raises(InputError, match=r"tsv:2: not a row of predictions .*no type 'Z'"):
        task.read_predictions(path)
    path.write_text("id\ttext\tgold\tentities\n0\t天\t[]\t{\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"tsv:2: not a row of predictions"):
        task.read_predictions(path)


def test_the_leaderboard_file_is_cluener_s(tmp_path):
    task = get_task("cluener")
    rows = task.read("test", DATA / "cluener")
    answers = [Tagging((Entity("name", 0, 1), Entity("name", 2, 3)), (0.5, 0.5)), *[Tagging((), ())] * (len(rows) - 1)]
    path = task.write_submission(tmp_path, rows, answers)
    assert path.name == "cluener_predict.json"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    text = rows[0].text
    assert lines[0] == {"id": 0, "label": {"name": {text[0]: [[0, 0]], text[2]: [[2, 2]]}}}
    assert [line["id"] for line in lines] == [each.id for each in rows]
    assert task.check_submission(tmp_path, rows, "test") == path
    # As its own rows: what was answered is read back as gold.
    gold = [{"id": each.id, "text": each.text, "label": line["label"]} for each, line in zip(rows, lines, strict=True)]
    (tmp_path / "gold.json").write_text("".join(json.dumps(each) + "\n" for each in gold), encoding="utf-8")
    assert read_all(tmp_path / "gold.json")[0].entities == answers[0].entities


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ({"name": {"不在": [[0, 1]]}}, "name '不在' at 0 to 1 is no entity"),
        ({"planet": {"住": [[0, 0]]}}, "planet '住' at 0 to 0 is no entity"),
        ({"name": {"": [[3, 2]]}}, "is no entity"),
        ({"name": {"住": [["0", "0"]]}}, "is not {type: {mention"),
        ({"name": {"住": [[0, 0, 0]]}}, "is not {type: {mention"),
        (["name"], "is not {type: {mention"),
    ],
)
def test_a_wrong_answer_in_the_leaderboard_file_is_found(label, said, tmp_path):
    task = get_task("cluener")
    rows = task.read("test", DATA / "cluener")
    path = task.write_submission(tmp_path, rows, [Tagging((), ())] * len(rows))
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[0] = json.dumps({"id": 0, "label": label}, ensure_ascii=False)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=f"cluener_predict.json:1: .*{said}"):
        task.check_submission(tmp_path, rows, "test")


def test_nothing_wrong_is_written_for_the_leaderboard(tmp_path):
    task = get_task("cluener")
    rows = task.read("test", DATA / "cluener")
    nothing = [Tagging((), ())] * len(rows)
    with pytest.raises(InputError, match="9 answers for 10 rows"):
        task.write_submission(tmp_path, rows, nothing[1:])
    with pytest.raises(InputError, match="comes after"):
        task.write_submission(tmp_path, rows[::-1], nothing)
    with pytest.raises(InputError, match="is no entity"):
        task.write_submission(tmp_path, rows, [Tagging((Entity("name", 0, 999),), (1.0,)), *nothing[1:]])
    with pytest.raises(InputError, match="no leaderboard file"):
        get_task("weibo").write_submission(tmp_path, rows, nothing)
    assert not list(tmp_path.iterdir())


# The table, own files


def test_a_task_s_tags_are_made_from_its_types():
    assert TOY.labels == ("O", "B-X", "I-X", "B-Y", "I-Y")
    assert (TOY.head.kind, TOY.head.outputs) == ("tagging", 5)
    chained = TOY.with_settings({"crf": True})
    assert (chained.head.kind, chained.settings, TOY.settings) == ("crf", {"crf": True}, {"crf": False})
    for types in ((), ("X", "X")):
        with pytest.raises(ValueError, match="types must be"):
            dataclasses.replace(TOY, types=types)
    assert get_task("weibo") is get_task("weibo_ner")


def test_files_under_their_published_names_are_found(file):
    assert get_task("peopledaily").find("dev", file("example.dev", "海 O\n").parent).name == "example.dev"
    assert get_task("msra_ner").find("test", file("msra_test_bio.txt", "海 O\n").parent).name == "msra_test_bio.txt"
    found = get_task("weibo").find("train", file("weiboNER_2nd_conll.train", "海0 O\n").parent)
    assert found.name == "weiboNER_2nd_conll.train"


def test_own_files_are_described_and_restored(file):
    train = file("train.txt", "李 B-人\n明 I-人\n在 O\n\n京 S-地\n")
    file("dev.jsonl", '{"text":"北京","label":{"地":{"北京":[[0,1]]}}}\n')
    task = custom_tagging({"train": "train.txt", "dev": "dev.jsonl"}, train.parent)
    assert (task.name, task.types, task.kind) == ("custom", ("人", "地"), "tagging")
    assert [each.text for each in task.read("train", train.parent)] == ["李明在", "京"]
    assert task.read("dev", train.parent)[0].entities == (Entity("地", 0, 2),)
    about = json.loads(json.dumps(describe(task)))
    assert about["tagging"] is True
    assert custom_from(about) == task_of({"custom": about}) == task
    train.unlink()
    again = custom_from(about, {"test": "dev.jsonl"}, train.parent)
    assert (again.types, again.labels) == (task.types, task.labels)
    assert again.read("test", train.parent)[0].text == "北京"


def test_own_files_that_cannot_be_used_are_named(file):
    train = file("train.txt", "李 B-人\n")
    bad = file("dev.txt", "京 B-地\n")
    task = custom_tagging({"train": str(train), "dev": str(bad)})
    with pytest.raises(InputError, match=r"dev.txt:1: no type '地'; the types are 人\. .*train on rows of this type"):
        task.read("dev", "")
    with pytest.raises(InputError, match=r"train.txt: no entity in 1 rows: nothing to learn"):
        custom_tagging({"train": str(file("train.txt", "李 O\n"))})
    with pytest.raises(InputError, match=r"--dev_file=.*no such file"):
        custom_tagging({"train": str(train), "dev": "no.txt"})
    about = describe(task)
    with pytest.raises(InputError, match=r"--label_column: the model finds entities"):
        custom_from(about, label_column="标签")
    del about["types"]
    with pytest.raises(InputError, match=r"what task.json says of the own data is not whole"):
        custom_from(about)
