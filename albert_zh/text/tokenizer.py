"""The tokenizer of a vocabulary file or of a SentencePiece model, and the names that other rooms use."""

from __future__ import annotations

import os

from albert_zh.files import InputError
from albert_zh.text.interface import Encoding, Tokenizer
from albert_zh.text.sentence_piece import SentencePieceTokenizer
from albert_zh.text.wordpiece import WordPieceTokenizer

__all__ = ["Encoding", "SentencePieceTokenizer", "Tokenizer", "WordPieceTokenizer", "load_tokenizer"]


def load_tokenizer(
    vocab_file: str | os.PathLike[str] | None = None,
    spm_model_file: str | os.PathLike[str] | None = None,
    lower_case: bool = True,
) -> Tokenizer:
    """The tokenizer of exactly one of the two files.

    Raises:
        InputError: none or both are given, or the file cannot be used.
    """
    if (not vocab_file) == (not spm_model_file):
        given = "both were" if vocab_file else "none was"
        raise InputError(f"give --vocab_file (WordPiece) or --spm_model_file (SentencePiece): {given} given.")
    if vocab_file:
        return WordPieceTokenizer(vocab_file, lower_case)
    return SentencePieceTokenizer(spm_model_file, lower_case)
