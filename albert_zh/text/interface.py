"""What every tokenizer offers: the token ids of a text, each with the characters it came from."""

from __future__ import annotations

import abc
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from albert_zh.files import InputError, sha256


class Encoding(NamedTuple):
    """Tokens of one text; three lists of one length.

    Attributes:
        ids: token ids, no [CLS] or [SEP] added.
        starts: offset in the original text of each token's first character.
        ends: offset after its last character. Two pieces of one composed character (Hangul) share offsets.
    """

    ids: list[int]
    starts: list[int]
    ends: list[int]


class Tokenizer(abc.ABC):
    """What every tokenizer offers.

    Attributes:
        kind: "wordpiece" or "sentencepiece".
        path: vocabulary or model file.
        lower_case: the text is lower-cased (and for WordPiece loses its accents).
        fingerprint: SHA-256 (hex) of the file's bytes.
        vocab_size: V.
        pad_id, unk_id, cls_id, sep_id, mask_id: ids of the special tokens.
        is_continuation: bool (V,), True for a piece that goes on with a word.
        has_basic_tokens: a run of continuation pieces never leaves the word its first piece began.
    """

    kind: str
    path: str
    lower_case: bool
    fingerprint: str
    vocab_size: int
    pad_id: int
    unk_id: int
    cls_id: int
    sep_id: int
    mask_id: int
    is_continuation: np.ndarray
    has_basic_tokens: bool

    @abc.abstractmethod
    def encode(self, text: str) -> Encoding:
        """Ids and character offsets of ``text``. "[MASK]" and the like in it are ordinary characters."""

    def encode_lines(self, lines: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Tokens of many texts at once, as of their concatenation by one separator character.

        Returns:
            int32 arrays ``ids`` (T,), ``starts`` (T,), ``ends`` (T,), offsets in ``"\\n".join(lines)``, and
            ``bounds`` (len(lines) + 1,): line i has the tokens ``bounds[i]:bounds[i + 1]``.
        """
        ids: list[int] = []
        starts: list[int] = []
        ends: list[int] = []
        bounds, offset = [0], 0
        for line in lines:
            encoding = self.encode(line)
            ids += encoding.ids
            starts += [start + offset for start in encoding.starts]
            ends += [end + offset for end in encoding.ends]
            bounds.append(len(ids))
            offset += len(line) + 1
        return tuple(np.array(values, np.int32) for values in (ids, starts, ends, bounds))

    def tokenize(self, text: str) -> list[str]:
        """The tokens of ``text`` as strings."""
        return self.tokens(self.encode(text).ids)

    def tokens(self, ids: Iterable[int]) -> list[str]:
        """Strings of ids. Raises InputError for an id outside the vocabulary."""
        return [self._tokens[self._check_id(number)] for number in ids]

    def token_ids(self, tokens: Iterable[str]) -> list[int]:
        """Ids of token strings, special tokens too; [UNK]'s id for a string that is no entry."""
        return [self._ids.get(token, self.unk_id) for token in tokens]

    def _take_entries(self, tokens: list[str], special: Sequence[str], advice: str) -> None:
        """Sets what follows from the entries; ``special`` names padding, unknown, beginning, separator and mask."""
        self._tokens = tokens
        self._ids = {token: number for number, token in enumerate(tokens)}
        for token in special:
            if token not in self._ids:
                raise InputError(
                    f"{self.path}: the special token {token} is missing among {len(tokens)} entries. {advice}"
                )
        self.pad_id, self.unk_id, self.cls_id, self.sep_id, self.mask_id = (self._ids[token] for token in special)
        self.vocab_size = len(tokens)
        self.fingerprint = sha256(self.path)

    def _check_id(self, piece_id: int) -> int:
        if not 0 <= piece_id < self.vocab_size:
            raise InputError(
                f"{self.path}: no entry has id {piece_id}; ids run from 0 to {self.vocab_size - 1}. "
                "Use the vocabulary the ids were made with."
            )
        return int(piece_id)

    def __reduce__(self) -> tuple[Any, ...]:
        # A worker process reads the file itself; what is remembered stays behind.
        return type(self), (self.path, self.lower_case)
