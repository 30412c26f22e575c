"""Laws of the SentencePiece tokenizer."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from albert_zh.files import InputError
from albert_zh.text.tokenizer import SentencePieceTokenizer, load_tokenizer

AWKWARD = "aA1é.,-_#`\"'[]▁ \t\n\u3000\u00a0\u2028\u200b\x00\ufffd\u0301\u0323中한Σςİﬁ２，。𠮷😀\U0001d15e\ud800"
TEXTS = st.lists(st.sampled_from(list(AWKWARD)) | st.characters() | st.sampled_from(["2000,", "words"])).map("".join)


def test_sentence_pieces_point_back_into_the_text(model_file):
    tokenizer = load_tokenizer(spm_model_file=model_file)
    text = "  The  model\treads 2,000 Wörds, ``yes'' don't [MASK] 中"
    encoding = tokenizer.encode(text)
    tokens = tokenizer.tokens(encoding.ids)
    assert not {tokenizer.mask_id, tokenizer.cls_id} & set(encoding.ids)
    assert "".join(tokens).replace("▁", " ").lstrip().startswith('the model reads 2,000 words, "yes" don\'t ')
    for token, start, end in zip(tokens, encoding.starts, encoding.ends, strict=True):
        piece = token.replace("▁", "")
        found = text[start:end].lower().replace("ö", "o").replace("``", '"').replace("''", '"')
        assert piece in ("<unk>", "") or piece == found


@settings(max_examples=200, deadline=None)
@given(text=TEXTS)
def test_sentence_piece_offsets_are_in_order(model_file, text):
    for lower_case in (True, False):
        tokenizer = load_tokenizer(spm_model_file=model_file, lower_case=lower_case)
        ids, starts, ends = tokenizer.encode(text)
        assert len(ids) == len(starts) == len(ends)
        assert starts == sorted(starts)
        assert all(0 <= start <= end <= len(text) for start, end in zip(starts, ends, strict=True))
        if max(text, default="") <= "\ud7ff":
            assert tokenizer.encode_lines([text, text])[0].tolist() == ids * 2


def test_a_comma_after_a_number_is_a_piece_of_its_own(model_file):
    tokenizer = load_tokenizer(spm_model_file=model_file)
    tokens = tokenizer.tokenize("it reads 15, and 2000, words")
    assert not [token for token in tokens if len(token) > 1 and token.endswith(",")]
    assert "".join(tokens) == "▁it▁reads▁15,▁and▁2000,▁words"


def test_sentence_piece_case_and_accents(model_file):
    keep = load_tokenizer(spm_model_file=model_file, lower_case=False)
    assert "".join(keep.tokenize("thé model")) == "▁the▁model"
    assert keep._clean("Thé  İ ﬁ")[0] == "The I fi"
    assert load_tokenizer(spm_model_file=model_file)._clean("Thé  İ ﬁ")[0] == "the i fi"


def test_a_piece_begins_a_word_after_a_space_or_as_punctuation(model_file):
    tokenizer = load_tokenizer(spm_model_file=model_file)
    for token, continues in zip(tokenizer.tokens(range(tokenizer.vocab_size)), tokenizer.is_continuation, strict=True):
        assert continues == (not token.startswith("▁") and token not in '.,()"')


def test_a_sentence_piece_model_without_special_pieces_is_refused(tmp_path):
    import sentencepiece

    text = tmp_path / "text.txt"
    text.write_text("one two three\n" * 50)
    sentencepiece.SentencePieceTrainer.train(
        input=str(text), model_prefix=str(tmp_path / "spm"), vocab_size=30, hard_vocab_limit=False, minloglevel=2
    )
    with pytest.raises(InputError, match=r"spm\.model: the special token <pad> is missing"):
        SentencePieceTokenizer(tmp_path / "spm.model")
    broken = tmp_path / "broken.model"
    broken.write_bytes(b"no model")
    with pytest.raises(InputError, match=r"broken\.model: not a SentencePiece model"):
        SentencePieceTokenizer(broken)
    with pytest.raises(InputError, match=r"nowhere\.model: no such file"):
        SentencePieceTokenizer(tmp_path / "nowhere.model")
