"""The written tokenizer files, read by transformers: the same class, ids and segments as this project's tokenizers."""

import itertools
import json
from pathlib import Path

import pytest
import tokenizers
import transformers

from albert_zh.text.huggingface import write_tokenizer_files
from albert_zh.text.tokenizer import load_tokenizer

REPOSITORY = Path(__file__).parent.parent.parent
GOLDEN = REPOSITORY / "tests" / "golden" / "tokenization_vocab.txt"
SHIPPED = REPOSITORY / "albert_config" / "vocab.txt"
ROWS = [
    json.loads(line)
    for line in (REPOSITORY / "tests" / "golden" / "tokenization.jsonl").read_text(encoding="utf-8").splitlines()
]
TEXTS = [row["text"] for row in ROWS]
#: The row with "[CLS]" in its text: one who writes "[MASK]" to these tokenizers means the token.
SPECIAL = [text for text in TEXTS if "[CLS]" in text]
#: The row with a word of 199 characters: transformers 5 builds BertTokenizer anew, with a limit of 100.
LONG = [text for text in TEXTS if 100 < max(map(len, text.split()), default=0) <= 200 and text.isascii()]

ENGLISH = [
    "The model reads 2,000 words, it has learned 15, in 2000, and it's small - (hello) the world.",
    "``Yes'' she said: Thé WÖRD, don't.  Two  spaces\tand a tab \n",
    "U.S. - 3.14 (1997, 2005) £5 a-b–c",
    "中文 and ２０００，and ﬁ",
    "",
    "  ",
]


def load(folder, vocabulary, lower_case=True, max_length=512):
    """The tokenizer that AutoTokenizer gives for an ALBERT with this vocabulary."""
    write_tokenizer_files(folder, vocabulary, lower_case=lower_case, max_length=max_length)
    (folder / "config.json").write_text(json.dumps({"model_type": "albert", "architectures": ["AlbertForMaskedLM"]}))
    return transformers.AutoTokenizer.from_pretrained(folder)


def ids_of(tokenizer, texts):
    return tokenizer(list(texts), add_special_tokens=False).input_ids


def special_ids(tokenizer):
    return [getattr(tokenizer, f"{name}_token_id") for name in ("pad", "unk", "cls", "sep", "mask")]


@pytest.fixture(scope="module", params=[True, False], ids=["lower", "cased"])
def golden_pair(request, tmp_path_factory):
    """(theirs, ours, column of the reference tokens, folder)"""
    folder = tmp_path_factory.mktemp("golden")
    theirs = load(folder, GOLDEN, request.param)
    return theirs, load_tokenizer(GOLDEN, None, request.param), "lower" if request.param else "cased", folder


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """(theirs, ours, folder) of the vocabulary in the repository."""
    folder = tmp_path_factory.mktemp("shipped")
    return load(folder, SHIPPED), load_tokenizer(SHIPPED), folder


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    import sentencepiece

    folder = tmp_path_factory.mktemp("sentencepiece")
    words = "the model reads 2000, words and learned 15, pieces - it's ( small ) . hello world yes 1997, in".split()
    (folder / "text.txt").write_text("\n".join(" ".join(words[i % 7 :] + words[: i % 5]) for i in range(200)))
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "text.txt"),
        model_prefix=str(folder / "spm"),
        vocab_size=110,
        hard_vocab_limit=False,
        pad_id=0,
        unk_id=1,
        bos_id=-1,
        eos_id=-1,
        pad_piece="<pad>",
        control_symbols="[CLS],[SEP],[MASK]",
        user_defined_symbols='(,),",-,.,–,£,€',
        minloglevel=2,
        num_threads=1,
    )
    return folder / "spm.model"


# ------------------------------------------------------------------------------------------------------------ WordPiece


def test_a_wordpiece_folder_is_a_bert_tokenizer_with_the_project_s_ids(golden_pair, shipped):
    for theirs, ours in (golden_pair[:2], shipped[:2]):
        assert isinstance(theirs, transformers.BertTokenizer)
        assert theirs.is_fast
        assert len(theirs) == theirs.vocab_size == ours.vocab_size
        assert theirs.convert_ids_to_tokens(range(ours.vocab_size)) == ours.tokens(range(ours.vocab_size))
        assert special_ids(theirs) == [ours.pad_id, ours.unk_id, ours.cls_id, ours.sep_id, ours.mask_id]
        assert theirs.model_max_length == 512


def test_tokens_are_those_of_the_reference_but_for_two_known_rows(golden_pair):
    theirs, _, column, _ = golden_pair
    different = [row["text"] for row in ROWS if theirs.tokenize(row["text"]) != row[column]]
    assert (len(SPECIAL), len(LONG)) == (1, 1)
    assert different == SPECIAL + LONG


def test_the_file_by_itself_has_the_reference_s_limit_of_a_word(golden_pair):
    _, _, column, folder = golden_pair
    theirs = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    different = [r["text"] for r in ROWS if theirs.encode(r["text"], add_special_tokens=False).tokens != r[column]]
    assert different == SPECIAL
    theirs = transformers.PreTrainedTokenizerFast.from_pretrained(folder)
    assert [row["text"] for row in ROWS if theirs.tokenize(row["text"]) != row[column]] == SPECIAL


def test_special_tokens_in_a_text_are_ordinary_characters_when_asked_for(golden_pair):
    theirs, ours, _, _ = golden_pair
    (text,) = SPECIAL
    assert theirs(text, add_special_tokens=False, split_special_tokens=True).input_ids == ours.encode(text).ids
    assert theirs(text).input_ids.count(ours.mask_id) == 1


def test_ids_and_offsets_are_the_project_s(shipped):
    theirs, ours, _ = shipped
    texts = [text for text in TEXTS if text not in SPECIAL + LONG]
    found = theirs(texts, add_special_tokens=False, return_offsets_mapping=True)
    for text, ids in zip(texts, found.input_ids, strict=True):
        assert ids == ours.encode(text).ids
    text = "我用iPhone15 PRO，很好。"
    expected = ours.encode(text)
    offsets = theirs(text, add_special_tokens=False, return_offsets_mapping=True).offset_mapping
    assert offsets == list(zip(expected.starts, expected.ends, strict=True))


def pairs_are_framed(theirs, ours, texts):
    # With "" for a second text transformers frames the first one alone; a batch of pairs does not.
    for first, second in itertools.pairwise(filter(None, texts)):
        found = theirs(first, second)
        a, b = ours.encode(first).ids, ours.encode(second).ids
        assert found["input_ids"] == [ours.cls_id, *a, ours.sep_id, *b, ours.sep_id] == theirs.encode(first, second)
        assert found["token_type_ids"] == [0] * (len(a) + 2) + [1] * (len(b) + 1)
        assert found["attention_mask"] == [1] * len(found["input_ids"])
        assert theirs(first)["input_ids"] == [ours.cls_id, *a, ours.sep_id]


def test_a_pair_is_framed_and_its_second_text_is_segment_1(golden_pair, shipped):
    texts = [text for text in TEXTS if text not in SPECIAL + LONG]
    pairs_are_framed(*golden_pair[:2], texts)
    pairs_are_framed(*shipped[:2], texts)
    # Loaded by the class that takes the file as it is, segments are there as well.
    pairs_are_framed(transformers.PreTrainedTokenizerFast.from_pretrained(shipped[2]), shipped[1], texts)


def test_the_mask_is_one_token_and_only_in_capitals(shipped):
    theirs, ours, _ = shipped
    assert theirs("今天[MASK]气很好").input_ids.count(ours.mask_id) == 1
    assert ours.mask_id not in theirs("今天[mask]气很好").input_ids


def test_long_texts_are_cut_and_short_ones_padded(tmp_path, shipped):
    theirs, ours, _ = shipped
    cut = theirs("天" * 600, truncation=True).input_ids
    assert (len(cut), cut[0], cut[-1]) == (512, ours.cls_id, ours.sep_id)
    cut = theirs("天" * 30, "地" * 30, truncation=True, max_length=21)
    assert len(cut.input_ids) == 21
    assert sum(cut.token_type_ids) in (10, 11)
    padded = theirs(["天", "天地人"], padding=True)
    assert padded.input_ids[0][-2:] == [ours.pad_id] * 2
    assert padded.attention_mask[0][-3:] == [1, 0, 0]
    short = load(tmp_path / "short", GOLDEN, max_length=8)
    assert len(short("天" * 600, truncation=True).input_ids) == 8


def unchanged_after_saving(theirs, folder, texts):
    theirs.save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "albert"}))
    again = transformers.AutoTokenizer.from_pretrained(folder)
    assert type(again) is type(theirs)
    assert special_ids(again) == special_ids(theirs)
    assert again.model_max_length == theirs.model_max_length
    assert dict(again(texts, texts[::-1])) == dict(theirs(texts, texts[::-1]))


def test_saving_and_reading_again_changes_nothing(tmp_path, golden_pair, shipped):
    unchanged_after_saving(golden_pair[0], tmp_path / "golden", TEXTS)
    unchanged_after_saving(shipped[0], tmp_path / "shipped", TEXTS)


def test_special_tokens_may_have_any_ids(tmp_path):
    vocabulary = tmp_path / "words.txt"
    vocabulary.write_text("天\n[SEP]\n[MASK]\n地\n[UNK]\n[CLS]\n人\n[PAD]\n", encoding="utf-8")
    theirs = load(tmp_path / "folder", vocabulary)
    assert theirs("天人", "地[MASK]黄").input_ids == [5, 0, 6, 1, 3, 2, 4, 1]
    assert special_ids(theirs) == [7, 4, 5, 1, 2]


# -------------------------------------------------------------------------------------------------------- SentencePiece


@pytest.mark.parametrize("lower_case", [True, False])
def test_a_sentence_piece_folder_is_an_albert_tokenizer_with_the_project_s_ids(tmp_path, model_file, lower_case):
    theirs, ours = load(tmp_path / "a", model_file, lower_case), load_tokenizer(None, model_file, lower_case)
    assert isinstance(theirs, transformers.AlbertTokenizer)
    assert len(theirs) == ours.vocab_size
    assert special_ids(theirs) == [ours.pad_id, ours.unk_id, ours.cls_id, ours.sep_id, ours.mask_id]
    texts = ENGLISH + [text for text in TEXTS if text not in SPECIAL]
    assert ids_of(theirs, texts) == [ours.encode(text).ids for text in texts]
    pairs_are_framed(theirs, ours, texts)
    assert theirs("the [MASK] reads").input_ids.count(ours.mask_id) == 1
    unchanged_after_saving(theirs, tmp_path / "b", texts)


def test_a_number_and_its_comma_are_two_pieces(tmp_path, model_file):
    theirs = load(tmp_path, model_file)
    assert "▁2000," in theirs.get_vocab()
    tokens = theirs.tokenize("it's 15, 2000, 1997, words")
    assert "".join(tokens) == "▁it's▁15,▁2000,▁1997,▁words"
    assert tokens.count(",") == 3
