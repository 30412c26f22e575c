"""Laws of the WordPiece tokenizer."""

import json
import pickle
import random
import string
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import albert_zh.text.wordpiece as module
from albert_zh.files import InputError
from albert_zh.text.wordpiece import SPECIAL_TOKENS, WordPieceTokenizer

GOLDEN = Path(__file__).parent.parent / "golden"
ROWS = [json.loads(line) for line in (GOLDEN / "tokenization.jsonl").read_text(encoding="utf-8").splitlines()]
LOWER = WordPieceTokenizer(GOLDEN / "tokenization_vocab.txt", lower_case=True)
CASED = WordPieceTokenizer(GOLDEN / "tokenization_vocab.txt", lower_case=False)
AWKWARD = (
    "中国的艾灸国aA1é.,-_#'[]<=≠≮；〈 \t\n\r\u3000\u00a0\u2028\u200b\ufeff\x00\x0b\x1c\x85\ufffd"
    "\u0301\u0308\u0323\u034fが한ᄒΣσςİıßǅﬁＡ１，。“”…𠮷😀\uf900\u200d\u11a8\u302e\U0001d15e"
)
WORDS = st.sampled_from(["iPhone15", "running", "CLS"])
TEXTS = st.lists(st.sampled_from(list(AWKWARD)) | st.characters() | WORDS).map("".join)
BOTH = pytest.mark.parametrize("tokenizer", [LOWER, CASED], ids=["lower", "cased"])


def simple_tokenize(text, vocabulary, lower_case):
    """BERT's reference in the plainest words: no offsets, no memory, no tables."""

    def chinese(c):
        ranges = "3400-4dbf 4e00-9fff f900-faff 20000-2a6df 2a700-2b73f 2b740-2b81f 2b820-2ceaf 2f800-2fa1f"
        return any(int(r.split("-")[0], 16) <= ord(c) <= int(r.split("-")[1], 16) for r in ranges.split())

    cleaned = ""
    for c in text:
        if c in "\t\n\r" or unicodedata.category(c) == "Zs":
            cleaned += " "
        elif c not in "\0\ufffd" and unicodedata.category(c) not in ("Cc", "Cf"):
            cleaned += f" {c} " if chinese(c) else c
    words = []
    for token in cleaned.split():
        if lower_case:
            token = unicodedata.normalize("NFD", token.lower())
            token = "".join(c for c in token if unicodedata.category(c) != "Mn")
        spaced = "".join(
            f" {c} " if c in string.punctuation or unicodedata.category(c).startswith("P") else c for c in token
        )
        words += spaced.split()
    pieces = []
    for word in words:
        found, rest = [], word
        while rest and len(word) <= 200:
            mark = "##" if found else ""
            match = next((mark + rest[:n] for n in range(len(rest), 0, -1) if mark + rest[:n] in vocabulary), None)
            if match is None:
                break
            found.append(match)
            rest = rest[len(match) - len(mark) :]
        pieces += ["[UNK]"] if rest else found
    return pieces


def plain(text, lower_case):
    """The characters a piece is made of."""
    if lower_case:
        text = unicodedata.normalize("NFD", text.lower().replace("ς", "σ"))
        text = "".join(c for c in text if unicodedata.category(c) != "Mn")
    return "".join(c for c in text if c not in "\0\ufffd" and unicodedata.category(c) not in ("Cc", "Cf"))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: ascii(row["text"][:12]))
def test_golden_lines_are_exact(row):
    assert LOWER.tokenize(row["text"]) == row["lower"]
    assert CASED.tokenize(row["text"]) == row["cased"]


@BOTH
@settings(max_examples=400, deadline=None)
@given(text=TEXTS)
def test_tokens_equal_those_of_a_plain_second_implementation(tokenizer, text):
    vocabulary = set(tokenizer.tokens(range(tokenizer.vocab_size)))
    assert tokenizer.tokenize(text) == simple_tokenize(text, vocabulary, tokenizer.lower_case)


@BOTH
@settings(max_examples=300, deadline=None)
@given(text=TEXTS)
def test_offsets_point_back_into_the_text(tokenizer, text):
    encoding = tokenizer.encode(text)
    ids, starts, ends = encoding
    assert len(ids) == len(starts) == len(ends)
    assert starts == sorted(starts)
    assert ends == sorted(ends)
    for place, (token, start, end) in enumerate(zip(tokenizer.tokens(ids), starts, ends, strict=True)):
        assert 0 <= start < end <= len(text)
        if token == "[UNK]":
            continue
        piece = token[2:] if tokenizer.is_continuation[ids[place]] else token
        piece = piece.replace("ς", "σ") if tokenizer.lower_case else piece
        shared = (place and starts[place] < ends[place - 1]) or (place + 1 < len(ids) and starts[place + 1] < end)
        found = plain(text[start:end], tokenizer.lower_case)
        assert piece in found if shared else piece == found


@BOTH
@settings(max_examples=200, deadline=None)
@given(text=TEXTS)
def test_no_character_that_counts_is_outside_of_all_tokens(tokenizer, text):
    encoding = tokenizer.encode(text)
    inside = {i for start, end in zip(encoding.starts, encoding.ends, strict=True) for i in range(start, end)}
    lost = [c for i, c in enumerate(text) if i not in inside and not c.isspace() and plain(c, tokenizer.lower_case)]
    assert lost == []


@BOTH
@settings(max_examples=200, deadline=None)
@given(first=TEXTS, second=TEXTS)
def test_a_space_parts_texts(tokenizer, first, second):
    assert tokenizer.tokenize(f"{first} {second}") == tokenizer.tokenize(first) + tokenizer.tokenize(second)


@BOTH
@settings(max_examples=200, deadline=None)
@given(lines=st.lists(TEXTS, max_size=5))
def test_lines_at_once_equal_line_after_line(tokenizer, lines):
    ids, starts, ends, bounds = tokenizer.encode_lines(lines)
    assert len(bounds) == len(lines) + 1
    assert {array.dtype for array in (ids, starts, ends, bounds)} == {np.dtype(np.int32)}
    offset = 0
    for line, begin, end in zip(lines, bounds[:-1], bounds[1:], strict=True):
        expected = tokenizer.encode(line)
        assert ids[begin:end].tolist() == expected.ids
        assert (starts[begin:end] - offset).tolist() == expected.starts
        assert (ends[begin:end] - offset).tolist() == expected.ends
        offset += len(line) + 1
    assert bounds[-1] == len(ids)


@settings(max_examples=100, deadline=None)
@given(texts=st.lists(TEXTS, min_size=2))
def test_remembered_pieces_equal_fresh_ones(texts):
    fresh = WordPieceTokenizer(LOWER.path)
    first = [fresh.encode(text) for text in texts]
    assert first == [fresh.encode(text) for text in texts] == [LOWER.encode(text) for text in texts]


def test_the_memory_is_bounded_and_changes_nothing(monkeypatch):
    monkeypatch.setattr(module, "CACHE_ENTRIES", 8)
    small = WordPieceTokenizer(LOWER.path)
    rng = random.Random(1)
    for _ in range(300):
        text = " ".join("".join(rng.choices("abcde中国1", k=rng.randint(1, 5))) for _ in range(6))
        assert small.encode(text) == LOWER.encode(text)
        assert len(small._whole) <= 8
        assert small._pieces.cache_info().currsize <= 8
    long_run = "a" * 100_000
    assert small.tokenize(long_run) == ["[UNK]"]
    assert long_run not in small._whole


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("艾灸iPhone", [("艾", 0, 1), ("灸", 1, 2), ("iphone", 2, 8)]),
        ("a\x00b\ufffdc\x07d", [("abc", 0, 5), ("##d", 6, 7)]),
        ("cafe\u0301拿", [("cafe", 0, 5), ("拿", 5, 6)]),  # the accent goes with its letter
        ("İstanbul", [("is", 0, 2), ("##tan", 2, 5), ("##bu", 5, 7), ("##l", 7, 8)]),
        ("  艾\u3000灸 ", [("艾", 2, 3), ("灸", 4, 5)]),
        ("한", [("ᄒ", 0, 1), ("##ᅡ", 0, 1), ("##ᆫ", 0, 1)]),
        ("[MASK]", [("[", 0, 1), ("ma", 1, 3), ("##sk", 3, 5), ("]", 5, 6)]),
    ],
)
def test_offsets_where_cleaning_changes_the_length(text, expected):
    encoding = LOWER.encode(text)
    assert list(zip(LOWER.tokens(encoding.ids), encoding.starts, encoding.ends, strict=True)) == expected


def test_a_word_of_200_characters_is_cut_and_one_of_201_is_unknown():
    assert LOWER.tokenize("a" * 199 + "d") == ["aaa", *["##aa"] * 98, "##d"]
    assert LOWER.tokenize("a" * 201 + "尾") == ["[UNK]", "尾"]


def test_special_tokens_have_ids_and_are_no_text():
    ids = LOWER.token_ids(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "没有这个词"])
    assert ids == [LOWER.pad_id, LOWER.unk_id, LOWER.cls_id, LOWER.sep_id, LOWER.mask_id, LOWER.unk_id]
    assert LOWER.tokens(ids[:5]) == list(SPECIAL_TOKENS)
    assert not set(LOWER.encode("[CLS][SEP][MASK][PAD]").ids) & {
        LOWER.cls_id,
        LOWER.sep_id,
        LOWER.mask_id,
        LOWER.pad_id,
    }


def test_continuations_are_the_marked_pieces():
    marks = [token.startswith("##") for token in LOWER.tokens(range(LOWER.vocab_size))]
    assert LOWER.is_continuation.tolist() == marks


def test_a_pickled_tokenizer_reads_its_file_again():
    copy = pickle.loads(pickle.dumps(CASED))
    assert (copy.path, copy.lower_case, copy.fingerprint) == (CASED.path, False, CASED.fingerprint)
    assert copy.encode("用iPhone") == CASED.encode("用iPhone")


def test_a_lone_surrogate_is_a_character_without_an_entry():
    assert LOWER.tokenize("中\ud800国") == ["中", "[UNK]", "国"]
    assert LOWER.encode_lines(["中\ud800国"])[0].tolist() == LOWER.encode("中\ud800国").ids


def vocabulary_file(folder, tokens, encoding="utf-8"):
    path = folder / "vocab.txt"
    path.write_bytes("".join(f"{token}\n" for token in tokens).encode(encoding))
    return path


@pytest.mark.parametrize("token", SPECIAL_TOKENS)
def test_a_missing_special_token_is_named(tmp_path, token):
    path = vocabulary_file(tmp_path, [t for t in SPECIAL_TOKENS if t != token] + ["中"])
    with pytest.raises(InputError, match=r"vocab\.txt: the special token \[" + token[1:-1]):
        WordPieceTokenizer(path)


@pytest.mark.parametrize(
    ("tokens", "encoding", "message"),
    [
        ([], "utf-8", r"vocab\.txt: the vocabulary is empty"),
        ([*SPECIAL_TOKENS, "中", "国", "中"], "utf-8", r"vocab\.txt:8: token '中' is there already \(line 6\)"),
        ([*SPECIAL_TOKENS, "", "国"], "utf-8", r"vocab\.txt:6: the entry is empty"),
        ([*SPECIAL_TOKENS, "中"], "gb18030", r"vocab\.txt:6: not UTF-8"),
    ],
)
def test_a_broken_vocabulary_is_refused_with_its_line(tmp_path, tokens, encoding, message):
    with pytest.raises(InputError, match=message):
        WordPieceTokenizer(vocabulary_file(tmp_path, tokens, encoding))


def test_a_missing_vocabulary_is_named(tmp_path):
    with pytest.raises(InputError, match="nowhere"):
        WordPieceTokenizer(tmp_path / "nowhere.txt")


def test_blank_lines_at_the_end_and_windows_line_ends_are_no_entries(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_bytes("\r\n".join([*SPECIAL_TOKENS, "中", "", ""]).encode())
    assert WordPieceTokenizer(path).vocab_size == 6


def test_an_id_outside_of_the_vocabulary_is_refused():
    for number in (-1, LOWER.vocab_size):
        with pytest.raises(InputError, match=f"no entry has id {number}"):
            LOWER.tokens([number])
