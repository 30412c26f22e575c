"""The characters of a text as BERT sees them: which stand alone, which are dropped, how a word is normalised."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

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


def is_space(character: str) -> bool:
    return character in " \t\n\r\u2028\u2029" or unicodedata.category(character) == "Zs"


def is_dropped(character: str) -> bool:
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
    codes = [code for code in range(0x20000) if is_space(chr(code)) or is_punctuation(chr(code))]
    ranges = list(_CJK_RANGES)
    for code in codes:
        if ranges[-1][1] == code - 1:
            ranges[-1] = (ranges[-1][0], code)
        else:
            ranges.append((code, code))
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in sorted(ranges))


_CLASS = _separate_characters()
SEPARATE = re.compile(f"[{_CLASS}]")
#: Cuts a text, losing nothing: at odd places runs of letters, between them ideographs, punctuation and spaces.
split_runs = re.compile(f"([^{_CLASS}]+)").split


def basic_tokens(text: str, lower_case: bool = True) -> list[str]:
    """The cleaned words, ideographs and punctuation marks of a text, before they are cut into pieces.

    >>> basic_tokens("用Café的 iPhone15，好！")
    ['用', 'cafe', '的', 'iphone15', '，', '好', '！']
    """
    if lower_case and "Σ" in text:
        text = resolve_sigmas(text)
    tokens = []
    for number, part in enumerate(split_runs(text)):
        for run in [part] if number % 2 else part:
            characters = normalise(run, lower_case)[0]
            tokens += [characters[begin:end] for begin, end in word_spans(characters)]
    return tokens


def normalise(run: str, lower_case: bool) -> tuple[str, list[int], list[int]]:
    """Cleaned (and lower-cased, unaccented) characters, and where in ``run`` each of them begins and ends."""
    if run.isascii() and run.isprintable():
        return run.lower() if lower_case else run, list(range(len(run))), list(range(1, len(run) + 1))
    kept = [(character, place) for place, character in enumerate(run) if not is_dropped(character)]
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


def word_spans(characters: str) -> Iterator[tuple[int, int]]:
    """(begin, end) of the words and punctuation marks in normalised characters."""
    begin = 0
    for place, character in enumerate(characters):
        space = is_space(character)
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


def resolve_sigmas(text: str) -> str:
    """Each Σ as its lower-case form, which depends on the letters around it in a word: σ, or ς at the end."""
    characters = list(text)
    word: list[int] = []
    for place, character in enumerate([*text, " "]):
        if is_space(character) or is_chinese(character):
            # İ is the one letter whose lower case is two characters; i is a letter like it.
            low = "".join("i" if characters[i] == "İ" else characters[i] for i in word).lower()
            for i, form in zip(word, low, strict=True):
                if characters[i] == "Σ":
                    characters[i] = form
            word = []
        elif not is_dropped(character):
            word.append(place)
    return "".join(characters)
