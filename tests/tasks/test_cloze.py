"""A task asked as a cloze: the template stays whole, the blanks are as many as the words' pieces, errors say which."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from albert_zh.cli import CHECKOUT
from albert_zh.files import InputError
from albert_zh.tasks import TASKS, Prompt, Row
from albert_zh.tasks.cloze import in_ids
from albert_zh.text.tokenizer import load_tokenizer

TOKENIZER = load_tokenizer(vocab_file=Path(CHECKOUT) / "albert_config" / "vocab.txt")
PAIR = Prompt("前{text_a}中{mask}后{text_b}完", {"yes": "是的", "no": "不是"})
CLOZE = in_ids(PAIR, ("yes", "no"), TOKENIZER)


def text_of(ids):
    return "".join(TOKENIZER.tokens(ids))


@pytest.mark.parametrize("name", sorted(name for name, task in TASKS.items() if getattr(task, "prompt", None)))
def test_every_prompt_of_the_table_asks_all_labels_with_words_of_the_vocabulary(name):
    task = TASKS[name]
    asked = task.asked_as_cloze(TOKENIZER, task.prompt)
    assert asked.head.kind == "cloze"
    assert len(set(asked.head.words)) == asked.head.outputs == len(task.labels)
    rows = task.read("dev", Path(CHECKOUT) / "data" / task.name)[:5]
    features = asked.featurize(rows, TOKENIZER, 64)
    for ids, segments in zip(features.input_ids, features.segment_ids, strict=True):
        assert (ids == TOKENIZER.mask_id).sum() == asked.cloze.blanks
        assert len(ids) <= 64
        assert not segments.any()


def test_a_row_becomes_the_template_with_its_texts_and_a_blank_for_each_piece():
    task = TASKS["ocnli"].asked_as_cloze(TOKENIZER, PAIR_OF_NLI)
    row = Row("dev.json:1", "天晴了", "没下雨", "neutral")
    features = task.featurize([row], TOKENIZER, 64)
    assert text_of(features.input_ids[0]) == "[CLS]前天晴了中[MASK][MASK]后没下雨完[SEP]"
    assert features.labels.tolist() == [1]
    assert [text_of(word) for word in task.head.words] == ["是的", "也许", "不是"]
    assert features.truncated == 0


PAIR_OF_NLI = Prompt(PAIR.template, {"entailment": "是的", "neutral": "也许", "contradiction": "不是"})


@given(st.integers(1, 40), st.integers(1, 40), st.integers(11, 60))
def test_what_is_too_long_loses_text_and_never_the_template(first, second, length):
    ids = CLOZE.sequence({"text_a": [200] * first, "text_b": [300] * second}, TOKENIZER, length)
    assert len(ids) == min(length, CLOZE.template_length + first + second)
    assert ids.count(TOKENIZER.mask_id) == 2
    kept = [ids.count(200), ids.count(300)]
    assert min(kept) >= 1
    left = text_of(number for number in ids if number not in (200, 300))
    assert left == "[CLS]前中[MASK][MASK]后完[SEP]"
    for mine, whole, other in ((kept[0], first, kept[1]), (kept[1], second, kept[0])):
        assert mine == whole or mine >= other - 1  # the longer one gives


def test_a_length_without_room_for_the_texts_is_refused():
    with pytest.raises(InputError, match="--max_seq_length=9: the template takes 8 tokens"):
        CLOZE.sequence({"text_a": [200], "text_b": [300]}, TOKENIZER, 9)


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        (Prompt("{text_a}{text_b}", PAIR_OF_NLI.words), r"must hold \{mask\}, \{text_a\}, \{text_b\}, each once"),
        (Prompt("{mask}{text_a}{text_b}{mask}", PAIR_OF_NLI.words), "each once"),
        (Prompt("{mask}{text_a}", PAIR_OF_NLI.words), "each once"),
        (Prompt("{mask}{text_a}{text_b}{答}", PAIR_OF_NLI.words), "no other braces"),
        (Prompt(PAIR.template, {"entailment": "是", "neutral": "不"}), "no word for the label 'contradiction'"),
        (Prompt(PAIR.template, {**PAIR_OF_NLI.words, "maybe": "或许"}), "a word for 'maybe', which is no label"),
        (Prompt(PAIR.template, {**PAIR_OF_NLI.words, "neutral": "不是"}), "'不是' stands for two labels"),
        (Prompt(PAIR.template, {**PAIR_OF_NLI.words, "neutral": "或"}), "as many tokens each.*是的 2, 或 1, 不是 2"),
        (
            Prompt(PAIR.template, {"entailment": "A的", "neutral": "a的", "contradiction": "不是"}),
            "are the same tokens",
        ),
        (Prompt(PAIR.template, {**PAIR_OF_NLI.words, "neutral": "𠮷的"}), "'𠮷的' is not in the vocabulary"),
        (Prompt(PAIR.template + "𠮷", PAIR_OF_NLI.words), "the template's '完𠮷' is not in the vocabulary"),
    ],
)
def test_a_prompt_that_does_not_fit_says_what_is_wrong(prompt, message):
    with pytest.raises(InputError, match=f"the prompt of ocnli: .*{message}"):
        TASKS["ocnli"].asked_as_cloze(TOKENIZER, prompt)
