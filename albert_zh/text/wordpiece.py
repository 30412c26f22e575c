"""BERT's tokenizer: basic tokens cut greedily into the longest entries of a vocabulary file."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np

from albert_zh.files import InputError, read_lines
from albert_zh.text.characters import SEPARATE, is_space, normalise, resolve_sigmas, split_runs, word_spans
from albert_zh.text.interface import Encoding, Tokenizer

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")

#: A longer basic token is [UNK], as in BERT's reference.
MAX_WORD_CHARACTERS = 200
#: Different runs of text whose pieces are remembered; then the memory starts anew.
CACHE_ENTRIES = 1 << 16
#: A longer run is unlikely to come again and is not remembered.
MAX_CACHED_CHARACTERS = 64

# What a code point is to WordPiece: nothing known yet, a separator, part of a run (a letter, an accent or a
# control character that is dropped from it), or, from 0 up, a token of its own and then the number is its id.
_UNKNOWN, _RUN, _SPACE = -3, -2, -1


class WordPieceTokenizer(Tokenizer):
    """BERT's tokenizer (https://arxiv.org/abs/1810.04805): characters cleaned, Chinese characters and punctuation
    set apart, lower-cased and stripped of accents if asked, words cut greedily into the longest entries.

    Args:
        vocab_file: one token a line, UTF-8; its line number from 0 is its id.
        lower_case: lower-case the text and strip accents (the published Chinese models do).

    Raises:
        InputError: the file is missing, empty or not UTF-8, an entry is empty or there twice, or a special
            token is missing.
    """

    kind = "wordpiece"
    has_basic_tokens = True

    def __init__(self, vocab_file: str | os.PathLike[str], lower_case: bool = True) -> None:
        self.path = os.fspath(vocab_file)
        self.lower_case = lower_case
        advice = "Use the vocabulary of the checkpoint, or make one with build-vocab."
        self._take_entries(read_vocabulary(self.path), SPECIAL_TOKENS, advice)
        self.is_continuation = np.array([token.startswith("##") and len(token) > 2 for token in self._tokens])
        self._longest = max(map(len, self._tokens))
        self._pieces = lru_cache(CACHE_ENTRIES)(self._cut_run)
        self._whole = _WholeRuns(self._pieces_of)
        self._kinds = np.full(sys.maxunicode + 1, _UNKNOWN, np.int32)

    def encode(self, text: str) -> Encoding:
        """Ids and character offsets of ``text``.

        >>> tokenizer = WordPieceTokenizer("albert_config/vocab.txt")
        >>> encoding = tokenizer.encode("我用iPhone。")
        >>> list(zip(tokenizer.tokens(encoding.ids), encoding.starts, encoding.ends))
        [('我', 0, 1), ('用', 1, 2), ('iphone', 2, 8), ('。', 8, 9)]
        """
        if self.lower_case and "Σ" in text:
            text = resolve_sigmas(text)
        flat = Encoding([], [], [])
        ids, starts, ends = flat
        whole, place = self._whole, 0
        for number, part in enumerate(split_runs(text)):
            end = place + len(part)
            if number % 2:
                self._add_run(part, place, flat)
            elif part:
                tokens = list(map(whole.__getitem__, part))
                if min(tokens) >= 0:
                    ids.extend(tokens)
                    starts.extend(range(place, end))
                    ends.extend(range(place + 1, end + 1))
                else:  # spaces among them
                    places = [i for i, token in enumerate(tokens, place) if token >= 0]
                    ids.extend([token for token in tokens if token >= 0])
                    starts.extend(places)
                    ends.extend([i + 1 for i in places])
            place = end
        return flat

    def encode_lines(self, lines: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        text = "\n".join(lines)
        if self.lower_case and "Σ" in text:
            text = resolve_sigmas(text)
        kinds = self._kinds_of(np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32))
        edges = np.flatnonzero(np.diff(kinds == _RUN, prepend=False, append=False))
        pieces = Encoding([], [], [])
        for begin, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            self._add_run(text[begin:end], begin, pieces)
        # Merge by position the characters that are tokens of their own with the pieces of the runs.
        single = np.flatnonzero(kinds >= 0)
        piece_starts = np.array(pieces.starts, np.int32)
        slots = np.searchsorted(single, piece_starts) + np.arange(len(piece_starts))
        others = np.ones(len(single) + len(slots), bool)
        others[slots] = False
        ids, starts, ends = np.empty((3, len(others)), np.int32)
        ids[slots], starts[slots], ends[slots] = pieces.ids, piece_starts, pieces.ends
        ids[others], starts[others], ends[others] = kinds[single], single, single + 1
        line_starts = np.cumsum([0, *(len(line) + 1 for line in lines)])
        return ids, starts, ends, np.searchsorted(starts, line_starts).astype(np.int32)

    def _add_run(self, run: str, place: int, flat: Encoding) -> None:
        """Adds the pieces of a run that begins at ``place``."""
        token = self._whole[run]
        if token >= 0:
            flat.ids.append(token)
            flat.starts.append(place)
            flat.ends.append(place + len(run))
        else:
            pieces = self._pieces_of(run)
            flat.ids.extend(pieces.ids)
            flat.starts.extend([place + start for start in pieces.starts])
            flat.ends.extend([place + end for end in pieces.ends])

    def _kinds_of(self, codes: np.ndarray) -> np.ndarray:
        """What each code point is: an id, or _RUN or _SPACE; the table fills as characters come up."""
        kinds = self._kinds[codes]
        unknown = codes[kinds == _UNKNOWN]
        if not len(unknown):
            return kinds
        for code in np.unique(unknown).tolist():
            character = chr(code)
            if not SEPARATE.match(character):
                self._kinds[code] = _RUN
            else:
                self._kinds[code] = _SPACE if is_space(character) else self._whole[character]
        return self._kinds[codes]

    def _pieces_of(self, run: str) -> Encoding:
        return self._pieces(run) if len(run) <= MAX_CACHED_CHARACTERS else self._cut_run(run)

    def _cut_run(self, run: str) -> Encoding:
        """Pieces of one run, offsets from its beginning."""
        characters, starts, ends = normalise(run, self.lower_case)
        flat = Encoding([], [], [])
        for begin, end in word_spans(characters):
            pieces = self._longest_matches(characters[begin:end]) if end - begin <= MAX_WORD_CHARACTERS else None
            if pieces is None:
                pieces = [(self.unk_id, 0, end - begin)]
            for piece, first, last in pieces:
                flat.ids.append(piece)
                flat.starts.append(starts[begin + first])
                flat.ends.append(ends[begin + last - 1])
        return flat

    def _longest_matches(self, word: str) -> list[tuple[int, int, int]] | None:
        """(id, begin, end) of the longest entries from the left; None when some rest matches no entry."""
        ids, pieces, begin = self._ids, [], 0
        while begin < len(word):
            prefix = "##" if begin else ""
            for end in range(min(len(word), begin + self._longest), begin, -1):
                number = ids.get(prefix + word[begin:end])
                if number is not None:
                    pieces.append((number, begin, end))
                    begin = end
                    break
            else:
                return None
        return pieces


def read_vocabulary(path: str | os.PathLike[str]) -> list[str]:
    """The tokens of a vocabulary file in id order; blank lines at its end do not count.

    Raises:
        InputError: the file is missing, empty, not UTF-8, or an entry is empty or there twice.
    """
    tokens: list[str] = []
    lines: dict[str, int] = {}
    blank = None
    for number, line in read_lines(path):
        token = line.strip(" \t\r")  # no more: the published vocabularies hold U+2028 as an entry
        if not token:
            blank = blank or number
            continue
        if blank:
            raise InputError(f"{os.fspath(path)}:{blank}: the entry is empty. Each line must hold one token.")
        if token in lines:
            raise InputError(
                f"{os.fspath(path)}:{number}: token {token!r} is there already (line {lines[token]}). "
                "Each token must have one line; get the vocabulary file again."
            )
        lines[token] = number
        tokens.append(token)
    if not tokens:
        raise InputError(f"{os.fspath(path)}: the vocabulary is empty. Give a file with one token a line.")
    return tokens


class _WholeRuns(dict):
    """run of text -> id when one token covers it all, else -1; starts anew when it has grown too large."""

    def __init__(self, cut: Callable[[str], Encoding]) -> None:
        self._cut = cut

    def __missing__(self, run: str) -> int:
        pieces = self._cut(run)
        whole = len(pieces.ids) == 1 and pieces.starts[0] == 0 and pieces.ends[0] == len(run)
        number = pieces.ids[0] if whole else -1
        if len(run) <= MAX_CACHED_CHARACTERS:
            if len(self) >= CACHE_ENTRIES:
                self.clear()
            self[run] = number
        return number
