"""Words in blanks are those that trying every word, one by one by hand, would give."""

import itertools

import numpy as np
import pytest

from albert_zh.files import InputError
from albert_zh.layouts import save_pretrained
from albert_zh.models.heads import AlbertModel
from albert_zh.opened import open_model
from albert_zh.serve.fill_mask import FillMask

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


@pytest.fixture(scope="module")
def opened(make_pretrained):
    return open_model(make_pretrained(["[unused1]", "go", "##ing", "##天"], family="google"))


@pytest.fixture(scope="module")
def fill_mask(opened):
    return FillMask(opened)


def shares(opened, ids, place):
    """Probabilities of the vocabulary at one place of one sequence."""
    ids = np.array([ids], np.int32)
    inputs = {"input_ids": ids, "input_mask": np.ones_like(ids), "segment_ids": np.zeros_like(ids)}
    logits = np.asarray(opened.model({**inputs, "masked_lm_positions": np.array([[place]])})["mlm_logits"], np.float64)[
        0, 0
    ]
    exponents = np.exp(logits - logits.max())
    return exponents / exponents.sum()


def sequence(opened, *parts):
    """[CLS], texts and numbers of blanks, [SEP]."""
    tokenizer, ids = opened.tokenizer, [opened.tokenizer.cls_id]
    for part in parts:
        ids += [tokenizer.mask_id] * part if isinstance(part, int) else tokenizer.encode(part).ids
    return [*ids, tokenizer.sep_id]


def words(opened):
    return [
        n for n, token in enumerate(opened.tokenizer.tokens(range(opened.tokenizer.vocab_size))) if "[" not in token
    ]


def test_one_blank_is_filled_by_the_probabilities_of_the_head(opened, fill_mask):
    ((found,),) = fill_mask.fill(["天地[MASK]和"], top_k=100)
    by_hand = shares(opened, sequence(opened, "天地", 1, "和"), 3)
    order = sorted(words(opened), key=lambda n: -by_hand[n])
    tokens = [opened.tokenizer.tokens([n])[0] for n in order]
    assert [each.text for each in found] == ["天" if token == "##天" else token for token in tokens]
    np.testing.assert_allclose([each.probability for each in found], by_hand[order], atol=1e-6)
    assert found[0].sentence == f"天地{found[0].text.removeprefix('##')}和"
    assert not {each.text for each in found} & {*SPECIAL, "[unused1]"}


def test_separate_blanks_are_filled_each_with_the_others_open(opened, fill_mask):
    (found,) = fill_mask.fill(["[MASK]地[MASK]"], top_k=3)
    ids = sequence(opened, 1, "地", 1)
    for place, own, sentence in ((1, found[0], "{}地[MASK]"), (3, found[1], "[MASK]地{}")):
        by_hand = np.sort(shares(opened, ids, place)[words(opened)])[::-1][:3]
        np.testing.assert_allclose([each.probability for each in own], by_hand, atol=1e-6)
        assert own[0].sentence == sentence.format(own[0].text.removeprefix("##"))


def test_blanks_side_by_side_are_one_word_and_a_full_beam_finds_the_best_of_all(opened, fill_mask):
    ids = sequence(opened, "天", 2, "和")
    first = shares(opened, ids, 2)
    joint = {}
    for one in words(opened):
        second = shares(opened, [*ids[:2], one, *ids[3:]], 3)
        joint |= {(one, two): first[one] * second[two] for two in words(opened)}
    order = sorted(joint, key=lambda pair: -joint[pair])
    ((found,),) = fill_mask.fill(["天[MASK][MASK]和"], top_k=20, beam=opened.tokenizer.vocab_size)
    np.testing.assert_allclose([each.probability for each in found], [joint[pair] for pair in order[:20]], rtol=1e-4)
    ((some,),) = fill_mask.fill(["天[MASK][MASK]和"], top_k=3, beam=4)
    assert some[0].probability <= found[0].probability * (1 + 1e-5)
    kept = sorted(words(opened), key=lambda n: -first[n])[:4]
    reached = sorted((joint[pair] for pair in itertools.product(kept, words(opened))), reverse=True)[:3]
    np.testing.assert_allclose([each.probability for each in some], reached, rtol=1e-4)


def test_twins_of_a_chinese_character_are_one_answer_for_brightmart_alone(make_pretrained):
    twins = ["##天", "##地", "##ing"]
    for family in ("brightmart", "google"):
        opened = open_model(make_pretrained(twins, family=family))
        by_hand = shares(opened, sequence(opened, "人", 1, "和"), 2)
        ((found,),) = FillMask(opened).fill(["人[MASK]和"], top_k=100)
        told = [each.probability for each in found if each.text == "天"]
        plain, twin = opened.tokenizer.token_ids(["天", "##天"])
        wanted = [by_hand[plain] + by_hand[twin]] if family == "brightmart" else [by_hand[plain], by_hand[twin]]
        np.testing.assert_allclose(sorted(told), sorted(wanted), atol=1e-6)
        assert "##ing" in {each.text for each in found}, "letters are no twin"
        assert sum(each.probability for each in found) < 1


def test_an_answer_does_not_depend_on_the_texts_the_batch_and_the_thread(fill_mask, in_threads):
    texts = ["天[MASK]", "山水[MASK][MASK]风云[MASK]" * 2, "[MASK]" * 3]

    def flat(found):
        return [(each.text, round(each.probability, 5)) for text in found for blank in text for each in blank]

    together = flat(fill_mask.fill(texts))
    assert [len(blanks) for blanks in fill_mask.fill(texts)] == [1, 4, 1]
    assert flat([fill_mask.fill([text])[0] for text in texts]) == together
    assert flat(fill_mask.fill(texts, batch_size=2)) == together
    assert all(found == together for found in in_threads(lambda: flat(fill_mask.fill(texts))))
    assert fill_mask.fill([]) == []


def test_a_long_text_is_cut_around_its_blank(opened, fill_mask):
    ((found,),) = fill_mask.fill(["天" * 100 + "[MASK]" + "地" * 100], top_k=1)
    room = 62  # 64 places less two
    left = (room - 1) // 2
    by_hand = shares(opened, sequence(opened, "天" * left, 1, "地" * (room - 1 - left)), left + 1)
    assert found[0].probability == pytest.approx(by_hand[words(opened)].max(), abs=1e-6)
    assert len(found[0].sentence) == 200 + len(found[0].text.removeprefix("##"))


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda f: f.fill("天[MASK]"), "texts: one text"),
        (lambda f: f.fill(["天[MASK]", "天"]), r"text 2: no \[MASK\] in '天'"),
        (lambda f: f.fill([""]), "text 1: '' where some text is needed"),
        (lambda f: f.fill(["天[MASK]"], top_k=0), "top_k is 0"),
        (lambda f: f.fill(["[MASK]" * 63]), "text 1: a blank of 63 tokens, where a sequence takes 62"),
    ],
)
def test_what_cannot_be_filled_is_told(fill_mask, ask, message):
    with pytest.raises(InputError, match=message):
        ask(fill_mask)


def test_a_model_without_the_head_is_refused(opened, tmp_path):
    save_pretrained(AlbertModel(opened.source.config), tmp_path / "bare", vocabulary=opened.tokenizer.path)
    with pytest.raises(InputError, match="no masked-LM head, which fills the blank"):
        FillMask(tmp_path / "bare")
