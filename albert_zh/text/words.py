"""Which word each token belongs to, by where its characters lie, never by what it looks like."""

from __future__ import annotations

import abc
import hashlib
import importlib.metadata
import logging
import os
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import accumulate, pairwise

import numpy as np

from albert_zh.files import InputError, read_lines
from albert_zh.text.interface import Encoding, Tokenizer


class Segmenter(abc.ABC):
    """Cuts a text into words and records by what.

    Attributes:
        name: "rjieba", "jieba" or "none".
        version: of the engine.
        fingerprint: SHA-256 (hex) over name, version and the user dictionary: equal ones cut alike.
    """

    name: str
    version: str
    fingerprint: str

    @abc.abstractmethod
    def cut(self, text: str) -> list[str]:
        """The words of ``text``, spaces and punctuation too; joined they are ``text`` again."""


class RustJieba(Segmenter):
    """jieba's algorithm and dictionary in Rust (https://pypi.org/project/rjieba), 25 times as fast."""

    name = "rjieba"

    def __init__(self, user_dictionary: str | os.PathLike[str] | None = None) -> None:
        import rjieba

        self.version = importlib.metadata.version("rjieba")
        self._engine = rjieba.Jieba()
        self.fingerprint = _fingerprint(self, user_dictionary)
        for word, frequency, tag in read_user_dictionary(user_dictionary):
            self._engine.add_word(word, self._engine.suggest_freq(word) if frequency is None else frequency, tag)

    def cut(self, text: str) -> list[str]:
        try:
            return self._engine.cut(text)
        except UnicodeEncodeError:  # a lone surrogate, from an escape in a JSON file: cut around it
            words = self._engine.cut(re.sub("[\ud800-\udfff]", "\ufffd", text))
            return [text[end - len(word) : end] for word, end in zip(words, accumulate(map(len, words)), strict=True)]


class Jieba(Segmenter):
    """The reference implementation (https://github.com/fxsjy/jieba)."""

    name = "jieba"

    def __init__(self, user_dictionary: str | os.PathLike[str] | None = None) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its regular expressions are no valid escapes to newer Pythons
            import jieba

        jieba.setLogLevel(logging.WARNING)
        self.version = importlib.metadata.version("jieba")
        # An engine of our own: jieba's module-level one would keep the user's words for everybody.
        self._engine = jieba.Tokenizer()
        self._engine.initialize()
        self.fingerprint = _fingerprint(self, user_dictionary)
        for word, frequency, tag in read_user_dictionary(user_dictionary):
            self._engine.add_word(word, frequency, tag or None)

    def cut(self, text: str) -> list[str]:
        return list(self._engine.cut(text))


class NoSegmenter(Segmenter):
    """Text whose words are what its pieces say: a piece that is no continuation begins a word."""

    name = "none"

    def __init__(self, user_dictionary: str | os.PathLike[str] | None = None) -> None:
        if user_dictionary:
            raise InputError(
                f"{os.fspath(user_dictionary)}: a user dictionary means nothing without a segmenter. "
                "Leave it out, or set --segmenter=rjieba or --segmenter=jieba."
            )
        self.version = "1"
        self.fingerprint = _fingerprint(self, None)

    def cut(self, text: str) -> list[str]:
        return re.findall(r"\s+|\S+", text)


SEGMENTERS: dict[str, type[Segmenter]] = {"rjieba": RustJieba, "jieba": Jieba, "none": NoSegmenter}


@lru_cache(maxsize=8)
def make_segmenter(name: str = "rjieba", user_dictionary: str | os.PathLike[str] | None = None) -> Segmenter:
    """The segmenter called ``name``, built once per process; jieba where rjieba is not installed.

    Args:
        name: "rjieba", "jieba" or "none" (the tokenizer's pieces are the words).
        user_dictionary: file of lines ``word [frequency [tag]]``, as jieba's.

    Raises:
        InputError: the name is unknown, or the dictionary cannot be read (file:line).
    """
    if name not in SEGMENTERS:
        raise InputError(f"--segmenter={name}: not one of {', '.join(SEGMENTERS)}.")
    try:
        return SEGMENTERS[name](user_dictionary)
    except ImportError:
        if name != "rjieba":
            raise InputError(f"--segmenter={name}: the package is not installed. Run: pip install {name}") from None
        print("rjieba is not installed: words come from jieba, which is slower (pip install rjieba).", file=sys.stderr)
        return make_segmenter("jieba", user_dictionary)


def read_user_dictionary(path: str | os.PathLike[str] | None) -> Iterator[tuple[str, int | None, str]]:
    """Yields (word, frequency or None, tag or "") of the lines ``word [frequency [tag]]``; blank lines pass.

    Raises:
        InputError: a frequency is no whole number, or a line has more than three fields.
    """
    if not path:
        return
    for number, line in read_lines(path):
        fields = line.split()
        if not fields:
            continue
        word, frequency, tag = fields[0], *([*fields[1:3], "", ""][:2])
        if len(fields) > 3 or (frequency and not re.fullmatch(r"[0-9]+", frequency)):
            raise InputError(
                f'{os.fspath(path)}:{number}: got "{line}", not "word", "word frequency" or "word frequency tag" '
                "(frequency: a whole number). Fix the line."
            )
        yield word, int(frequency) if frequency else None, tag


def segment(text: str, segmenter: Segmenter) -> list[int] | None:
    """Where each word of ``text`` ends, in characters; None when the tokenizer's pieces are the words.

    >>> segment("研究生命的起源", make_segmenter("rjieba"))
    [2, 4, 5, 7]
    """
    return None if segmenter.name == "none" else list(accumulate(map(len, segmenter.cut(text))))


def word_numbers(encoding: Encoding, word_ends: Sequence[int] | None, tokenizer: Tokenizer) -> list[int]:
    """The number of the word each token belongs to, from 0 and without gaps.

    A token belongs to the word its first character lies in; the continuation pieces of one basic token follow
    its first piece. Words without a token (spaces) are not counted. Without ``word_ends`` each piece that is no
    continuation begins a word.

    >>> from albert_zh.text.wordpiece import WordPieceTokenizer
    >>> tokenizer = WordPieceTokenizer("albert_config/vocab.txt")
    >>> text = "研究生命的起源，我用iPhone搜索中华人民共和国艾灸。"
    >>> word_numbers(tokenizer.encode(text), segment(text, make_segmenter("rjieba")), tokenizer)
    [0, 0, 1, 1, 2, 3, 3, 4, 5, 5, 6, 7, 7, 8, 8, 8, 8, 8, 8, 8, 9, 9, 10]
    """
    ids, starts = np.array(encoding.ids, np.int32), np.array(encoding.starts, np.int32)
    return _word_numbers(ids, starts, word_ends, tokenizer).tolist()


def tag_words(lines: Sequence[str], tokenizer: Tokenizer, segmenter: Segmenter) -> list[tuple[np.ndarray, np.ndarray]]:
    """Ids and word numbers, int32 (T,) each, of every line: the quick way for whole documents.

    Equal to ``encode``, ``segment`` and ``word_numbers`` on line after line, but each engine runs once.
    """
    ids, starts, _, bounds = tokenizer.encode_lines(lines)
    words = _word_numbers(ids, starts, segment("\n".join(lines), segmenter), tokenizer)
    if len(ids):
        first = words[np.minimum(bounds[:-1], len(ids) - 1)]  # an empty line has no first word and no use for it
        words -= np.repeat(first, np.diff(bounds))
    cuts = bounds.tolist()
    return [(ids[begin:end], words[begin:end]) for begin, end in pairwise(cuts)]


def _word_numbers(
    ids: np.ndarray, starts: np.ndarray, word_ends: Sequence[int] | None, tokenizer: Tokenizer
) -> np.ndarray:
    """Word numbers from 0, int32 (T,), of ids (T,) that begin at ``starts`` (T,)."""
    continues = tokenizer.is_continuation[ids]
    if word_ends is None:
        begins = ~continues
    else:
        words = np.searchsorted(np.asarray(word_ends, np.int32), starts, side="right")
        if tokenizer.has_basic_tokens:
            first = np.maximum.accumulate(np.where(continues, 0, np.arange(len(ids))))
            words = words[first]
        begins = np.diff(words, prepend=-1) != 0
    begins[:1] = False
    return np.cumsum(begins, dtype=np.int32)


def _fingerprint(segmenter: Segmenter, user_dictionary: str | os.PathLike[str] | None) -> str:
    digest = hashlib.sha256(f"{segmenter.name} {segmenter.version}\n".encode())
    for entry in read_user_dictionary(user_dictionary):
        digest.update(f"{entry}\n".encode())
    return digest.hexdigest()
