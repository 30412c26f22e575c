"""The right tokenizer for the file that is given."""

import pickle
from pathlib import Path

import pytest

from albert_zh.files import InputError
from albert_zh.text.tokenizer import load_tokenizer

VOCABULARY = Path(__file__).parent.parent / "golden" / "tokenization_vocab.txt"


def test_exactly_one_vocabulary_must_be_given(model_file):
    with pytest.raises(InputError, match="none was given"):
        load_tokenizer()
    with pytest.raises(InputError, match="both were given"):
        load_tokenizer(VOCABULARY, model_file)
    assert load_tokenizer(VOCABULARY, lower_case=False).lower_case is False
    copy = pickle.loads(pickle.dumps(load_tokenizer(spm_model_file=model_file)))
    assert copy.tokenize("the model") == ["▁the", "▁model"]
