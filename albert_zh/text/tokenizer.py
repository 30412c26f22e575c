"""WordPiece and SentencePiece behind one interface: ids with the characters of the text they came from."""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from albert_zh.files import InputError, read_lines, sha256

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
SENTENCE_PIECE_SPECIAL_TOKENS = ("<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]")

#: A longer basic token is [UNK], as in BERT's reference.
MAX_WORD_CHARACTERS = 200
#: Different runs of text whose pieces are remembered; then the memory starts anew.
CACHE_ENTRIES = 1 << 16
#: A longer run is unlikely to come again and is not remembered.
MAX_CACHED_CHARACTERS = 64

_CJK_RANGES = (
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0x2F800, 0x2FA1F),
)
# What a code point is to WordPiece: nothing known yet, a separator, part of a run (a letter, an accent or a
# control character that is dropped from it), or, from 0 up, a token of its own and then the number is its id.
_UNKNOWN, _RUN, _SPACE = -3, -2, -1


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


class Tokenizer:
    """What every tokenizer offers.

    Attributes:
        path: vocabulary or model file.
        lower_case: the text is lower-cased (and for WordPiece loses its accents).
        fingerprint: SHA-256 (hex) of the file's bytes.
        vocab_size: V.
        pad_id, unk_id, cls_id, sep_id, mask_id: ids of the special tokens.
        is_continuation: bool (V,), True for a piece that goes on with a word.
        has_basic_tokens: a run of continuation pieces never leaves the word its first piece began.
    """

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

    def encode(self, text: str) -> Encoding:
        """Ids and character offsets of ``text``. "[MASK]" and the like in it are ordinary characters."""
        raise NotImplementedError

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

    def word_starts_piece(self, piece_id: int) -> bool:
        """True when the piece begins a word."""
        return not self.is_continuation[piece_id]

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
            text = _resolve_sigmas(text)
        flat = Encoding([], [], [])
        ids, starts, ends = flat
        whole, place = self._whole, 0
        for number, part in enumerate(_split_runs(text)):
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
            text = _resolve_sigmas(text)
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
            if not _SEPARATE.match(character):
                self._kinds[code] = _RUN
            else:
                self._kinds[code] = _SPACE if _is_space(character) else self._whole[character]
        return self._kinds[codes]

    def _pieces_of(self, run: str) -> Encoding:
        return self._pieces(run) if len(run) <= MAX_CACHED_CHARACTERS else self._cut_run(run)

    def _cut_run(self, run: str) -> Encoding:
        """Pieces of one run, offsets from its beginning."""
        characters, starts, ends = _normalise(run, self.lower_case)
        flat = Encoding([], [], [])
        for begin, end in _word_spans(characters):
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


class SentencePieceTokenizer(Tokenizer):
    """ALBERT's English tokenizer: a SentencePiece model behind the clean-up its creators ran before it.

    Quotes written as doubled backticks or apostrophes become ", text is decomposed (NFKD), loses its accents and,
    with ``lower_case``, is lower-cased; a piece such as "9," is cut into the number's pieces and the comma
    (https://arxiv.org/abs/1909.11942 and its released code).

    Args:
        model_file: a SentencePiece ``.model`` with the pieces [CLS], [SEP], [MASK], <pad> and <unk>.
        lower_case: lower-case the text.

    Raises:
        InputError: the file is missing or no SentencePiece model, or a special piece is missing.
    """

    has_basic_tokens = False

    def __init__(self, model_file: str | os.PathLike[str], lower_case: bool = True) -> None:
        import sentencepiece  # here, since most runs are Chinese and never need it

        self.path = os.fspath(model_file)
        self.lower_case = lower_case
        if not os.path.isfile(self.path):
            raise InputError(f"{self.path}: no such file. Name the SentencePiece model (such as 30k-clean.model).")
        try:
            self._model = sentencepiece.SentencePieceProcessor(model_file=self.path)
        except (OSError, RuntimeError) as error:
            raise InputError(
                f"{self.path}: not a SentencePiece model. Use the .model file of the checkpoint."
            ) from error
        tokens = [self._model.id_to_piece(number) for number in range(self._model.get_piece_size())]
        advice = "Use ALBERT's model, or train one with pad_piece=<pad>, control_symbols=[CLS],[SEP],[MASK]."
        self._take_entries(tokens, SENTENCE_PIECE_SPECIAL_TOKENS, advice)
        self.is_continuation = np.array([not _begins_word(token) for token in self._tokens])

    def encode(self, text: str) -> Encoding:
        clean, starts, ends = self._clean(text)
        flat = Encoding([], [], [])
        for piece, begin, end in self._cut(clean):
            while begin < end - 1 and clean[begin] == " ":
                begin += 1  # a piece's "▁" is the space before it, which is no part of the token
            flat.ids.append(self._ids.get(piece, self.unk_id))
            flat.starts.append(starts[begin] if begin < len(starts) else len(text))
            flat.ends.append(ends[end - 1] if end > begin else flat.starts[-1])
        return flat

    def _cut(self, clean: str) -> Iterator[tuple[str, int, int]]:
        """(piece, begin, end) in the cleaned text, the comma after a number set apart."""
        for piece, begin, end in self._spans(clean):
            if len(piece) > 1 and piece[-1] == "," and piece[-2].isdigit():
                number = piece[:-1].replace("▁", "")
                parts = [(part, first, last) for part, first, last in self._spans(number)]
                if not piece.startswith("▁") and parts[0][0].startswith("▁"):
                    name, first, last = parts[0]
                    parts[:1] = [(name[1:], first, last)] if len(name) > 1 else []
                shift = end - 1 - len(number)
                for part, first, last in parts:
                    yield part, shift + first, shift + last
                yield ",", end - 1, end
            else:
                yield piece, begin, end

    def _spans(self, clean: str) -> list[tuple[str, int, int]]:
        try:
            found = self._model.encode(clean, return_type="offset_mapping")
        except UnicodeEncodeError:  # a lone surrogate, from an escape in a JSON file
            clean = re.sub("[\ud800-\udfff]", "\ufffd", clean)
            found = self._model.encode(clean, return_type="offset_mapping")
        return [(piece, begin, end) for piece, (begin, end) in zip(found["pieces"], found["offsets"], strict=True)]

    def _clean(self, text: str) -> tuple[str, list[int], list[int]]:
        """The text as the model was trained on it, and where in ``text`` each of its characters begins and ends."""
        kept: list[tuple[str, int, int]] = []
        # Each run of spaces is one space, doubled quotes are one, the rest is itself.
        for match in re.finditer(r"\s+|``|''|.", text, re.DOTALL):
            found, begin, end = match.group(), match.start(), match.end()
            if found.isspace():
                if kept and end < len(text):
                    kept.append((" ", begin, end))
            else:
                for part in unicodedata.normalize("NFKD", '"' if len(found) == 2 else found):
                    if not unicodedata.combining(part):
                        kept.append((part, begin, end))
                    elif kept and kept[-1][2] == begin:
                        kept[-1] = (*kept[-1][:2], end)  # an accent belongs to the letter it stands on
        characters, starts, ends = zip(*kept, strict=True) if kept else ("", (), ())
        clean = "".join(characters)
        return clean.lower() if self.lower_case else clean, list(starts), list(ends)


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


def _is_space(character: str) -> bool:
    return character in " \t\n\r\u2028\u2029" or unicodedata.category(character) == "Zs"


def _is_dropped(character: str) -> bool:
    return character in "\0\ufffd" or unicodedata.category(character) in ("Cc", "Cf")


@lru_cache(1 << 16)
def is_punctuation(character: str) -> bool:
    """BERT's punctuation: every ASCII character that is no letter, digit, space or control, and Unicode's P*."""
    return ("!" <= character <= "~" and not character.isalnum()) or unicodedata.category(character).startswith("P")


def is_chinese(character: str) -> bool:
    """An ideograph of the blocks BERT sets apart; kana and Hangul are not among them."""
    code = ord(character)
    return any(first <= code <= last for first, last in _CJK_RANGES)


def _separate_characters() -> str:
    """The inside of a regular expression's brackets: characters that end a run of letters."""
    # Unicode has no punctuation and no spaces above plane 1 (a test says so).
    codes = [code for code in range(0x20000) if _is_space(chr(code)) or is_punctuation(chr(code))]
    ranges = list(_CJK_RANGES)
    for code in codes:
        if ranges[-1][1] == code - 1:
            ranges[-1] = (ranges[-1][0], code)
        else:
            ranges.append((code, code))
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in sorted(ranges))


_CLASS = _separate_characters()
_SEPARATE = re.compile(f"[{_CLASS}]")
#: Cuts a text, losing nothing: at odd places runs of letters, between them ideographs, punctuation and spaces.
_split_runs = re.compile(f"([^{_CLASS}]+)").split


def basic_tokens(text: str, lower_case: bool = True) -> list[str]:
    """The cleaned words, ideographs and punctuation marks of a text, before they are cut into pieces.

    >>> basic_tokens("用Café的 iPhone15，好！")
    ['用', 'cafe', '的', 'iphone15', '，', '好', '！']
    """
    if lower_case and "Σ" in text:
        text = _resolve_sigmas(text)
    tokens = []
    for number, part in enumerate(_split_runs(text)):
        for run in [part] if number % 2 else part:
            characters = _normalise(run, lower_case)[0]
            tokens += [characters[begin:end] for begin, end in _word_spans(characters)]
    return tokens


def _normalise(run: str, lower_case: bool) -> tuple[str, list[int], list[int]]:
    """Cleaned (and lower-cased, unaccented) characters, and where in ``run`` each of them begins and ends."""
    if run.isascii() and run.isprintable():
        return run.lower() if lower_case else run, list(range(len(run))), list(range(1, len(run) + 1))
    kept = [(character, place) for place, character in enumerate(run) if not _is_dropped(character)]
    if lower_case:
        # NFD of the whole run: each character decomposed, then combining marks put into canonical order.
        kept = [(part, place) for character, place in kept for part in unicodedata.normalize("NFD", character.lower())]
        _order_marks(kept)
    characters, starts, ends = [], [], []
    for character, place in kept:
        if not (lower_case and unicodedata.category(character) == "Mn"):
            characters.append(character)
            starts.append(place)
            ends.append(place + 1)
        elif ends and place == ends[-1]:
            ends[-1] = place + 1  # an accent belongs to the letter it stands on
    return "".join(characters), starts, ends


def _word_spans(characters: str) -> Iterator[tuple[int, int]]:
    """(begin, end) of the words and punctuation marks in normalised characters."""
    begin = 0
    for place, character in enumerate(characters):
        space = _is_space(character)
        if space or is_punctuation(character):
            if begin < place:
                yield begin, place
            if not space:
                yield place, place + 1
            begin = place + 1
    if begin < len(characters):
        yield begin, len(characters)


def _order_marks(parts: list[tuple[str, int]]) -> None:
    """Sorts combining marks in place into canonical order (Unicode Standard, 3.11)."""
    begin = 0
    while begin < len(parts):
        end = begin
        while end < len(parts) and unicodedata.combining(parts[end][0]):
            end += 1
        if end - begin > 1:
            parts[begin:end] = sorted(parts[begin:end], key=lambda part: unicodedata.combining(part[0]))
        begin = end + 1


def _resolve_sigmas(text: str) -> str:
    """Each Σ as its lower-case form, which depends on the letters around it in a word: σ, or ς at the end."""
    characters = list(text)
    word: list[int] = []
    for place, character in enumerate([*text, " "]):
        if _is_space(character) or is_chinese(character):
            # İ is the one letter whose lower case is two characters; i is a letter like it.
            low = "".join("i" if characters[i] == "İ" else characters[i] for i in word).lower()
            for i, form in zip(word, low, strict=True):
                if characters[i] == "Σ":
                    characters[i] = form
            word = []
        elif not _is_dropped(character):
            word.append(place)
    return "".join(characters)


def _begins_word(piece: str) -> bool:
    """A SentencePiece piece that begins a word: "▁..." or punctuation other than an apostrophe."""
    return piece.startswith("▁") or (piece != "'" and len(piece) == 1 and is_punctuation(piece))
