"""How right a piece of text is: exact match and F1 as the official scripts of SQuAD and of CMRC 2018 have them.

All scores are shares, which the scripts print times 100.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

#: A way to compare one answer with one gold answer: (exact match, F1).
Comparison = Callable[[str, str], tuple[float, float]]


def best_of(compare: Comparison, answer: str, gold: Sequence[str]) -> tuple[float, float]:
    """The highest exact match and the highest F1 over the gold answers."""
    pairs = [compare(answer, text) for text in gold]
    return max(exact for exact, _ in pairs), max(f1 for _, f1 in pairs)


# SQuAD

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_ASCII_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalised(text: str) -> str:
    """Lower case, without ASCII punctuation, articles and more than one space, as SQuAD's evaluate-v1.1 and v2.0.

    >>> normalised("The  U.S. dollar, an old one")
    'us dollar old one'
    """
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_ASCII_PUNCTUATION)).split())


def compare_english(answer: str, gold: str) -> tuple[float, float]:
    """Exact match and F1 of the words two texts share, after ``normalised``; an empty text equals an empty one alone.

    >>> compare_english("the Red House", "a red house in town")
    (0.0, 0.6666666666666666)
    """
    answer, gold = normalised(answer), normalised(gold)
    exact = float(answer == gold)
    ours, theirs = answer.split(), gold.split()
    if not ours or not theirs:
        return exact, float(ours == theirs)
    same = (Counter(ours) & Counter(theirs)).total()
    if not same:
        return exact, 0.0
    precision, recall = same / len(ours), same / len(theirs)
    return exact, 2 * precision * recall / (precision + recall)


def best_threshold(odds: Sequence[float], scores: Sequence[float], answered: Sequence[bool]) -> float:
    """The threshold above which "no answer" is said, by which the sum of scores is highest: SQuAD 2.0's search.

    Args:
        odds: how much better "no answer" is than an answer, a number a row.
        scores: what the answer would score in rows that have one.
        answered: whether the row has an answer.

    Rows with odds equal to the threshold are answered. Where nothing is better than to answer nothing at all, it is
    below all odds.

    >>> best_threshold([-3.0, 1.0, 2.0], [1.0, 0.5, 0.0], [True, True, False])
    1.0
    """
    order = np.argsort(odds, kind="stable")
    gains = np.where(np.asarray(answered)[order], np.asarray(scores, np.float64)[order], -1.0)
    totals = np.concatenate(([0.0], np.cumsum(gains)))
    sorted_odds = np.asarray(odds, np.float64)[order]
    # A cut between rows of the same odds is none.
    last = np.concatenate(([True], np.append(sorted_odds[1:] > sorted_odds[:-1], True)))
    cut = int(np.argmax(np.where(last, totals, -np.inf)))
    return float(sorted_odds[cut - 1]) if cut else float(np.nextafter(sorted_odds[0], -np.inf))


# CMRC 2018

#: What CMRC's script leaves out of both texts. Its list also has a doubled "…", which no single character is.
_LEFT_OUT = frozenset("-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』")
_CHINESE = re.compile("[\u4e00-\u9fa5]")


def compare_chinese(answer: str, gold: str) -> tuple[float, float]:
    """Exact match without punctuation, and F1 of the longest stretch of units two texts share (CMRC 2018's script, v5).

    A unit is a Chinese character or a word of other text, see ``english_words``.

    >>> compare_chinese("《红楼梦》", "红楼梦")
    (1.0, 1.0)
    >>> compare_chinese("在1986年", "1986年3月")
    (0.0, 0.5714285714285715)
    """
    exact = float(_without_punctuation(answer) == _without_punctuation(gold))
    ours, theirs = units(answer), units(gold)
    shared = longest_common_stretch(ours, theirs)
    if not shared:
        return exact, 0.0
    precision, recall = shared / len(ours), shared / len(theirs)
    return exact, 2 * precision * recall / (precision + recall)


def _without_punctuation(text: str) -> str:
    return "".join(character for character in text.lower().strip() if character not in _LEFT_OUT)


def units(text: str) -> list[str]:
    """Characters of Chinese, words of the rest, punctuation of ``compare_chinese`` left out.

    >>> units("iPhone 3G，2008年发布！")
    ['iphone', '3g2008', '年', '发', '布']
    """
    found: list[str] = []
    rest = ""
    for character in text.lower().strip():
        if character in _LEFT_OUT:
            continue
        if _CHINESE.match(character):
            found += english_words(rest)
            found.append(character)
            rest = ""
        else:
            rest += character
    return found + english_words(rest)


#: Signs that stand for themselves wherever they are.
_SIGNS = r"[;@#$%&?!*\[\](){}<>\"\u2012-\u2015\u00ab\u00bb\u2018\u201e]"
#: A word goes on to white space or a sign; "," and ":" before a digit belong to a number.
_WORD = re.compile(rf"\.{{2,}}|--|{_SIGNS}|[:,](?!\d)|(?:(?!\.\.|--)(?!{_SIGNS})[^\s:,]|[:,](?=\d))+")
_CLITIC = re.compile(r"(?<=[^' ])('s|'m|'d|'ll|'re|'ve|n't|')$")
#: An apostrophe that opens a quotation, and is no clitic's.
_OPENING = re.compile(r"'(?!(?:re|ve|ll|m|t|s|d|n)\b)\w")
#: Words that are two.
_JOINED = {"cannot": 3, "gimme": 3, "gonna": 3, "gotta": 3, "lemme": 3, "wanna": 3}
_CLOSING = "])}>\"'\u00bb"


def english_words(text: str) -> list[str]:
    """Lower-case text cut as in the Penn Treebank, which is how CMRC's script cuts what is not Chinese.

    Punctuation stands by itself, a period only at the end; "don't" is "do" and "n't".

    >>> english_words("the u.s. spent $3.88, didn't it? in 1,200 days.")
    ['the', 'u.s.', 'spent', '$', '3.88', ',', 'did', "n't", 'it', '?', 'in', '1,200', 'days', '.']
    """
    text = text.strip()
    closed = len(text.rstrip(_CLOSING + " "))
    if text[:closed].endswith(".") and not text[:closed].endswith(".."):
        return [*_cut(text[: closed - 1]), ".", *_cut(text[closed:], opening=False)]
    return _cut(text)


def _cut(text: str, opening: bool = True) -> list[str]:
    words: list[str] = []
    for match in _WORD.finditer(text):
        word, before = match.group(), text[: match.start()][-1:]
        if _OPENING.match(word):
            words.append("'")
            word = word[1:]
        if word == '"':  # the Treebank tells opening from closing quotes
            words.append("``" if before in " ([{<" and (before or opening) else "''")
        elif len(word) > 1 and (found := _CLITIC.search(word)):
            words += [word[: found.start()], found.group()]
        elif word in _JOINED:
            words += [word[: _JOINED[word]], word[_JOINED[word] :]]
        else:
            words.append(word)
    return words


def longest_common_stretch(first: Sequence[str], second: Sequence[str]) -> int:
    """Units in the longest run that both sequences hold side by side."""
    longest, previous = 0, [0] * (len(second) + 1)
    for unit in first:
        current = [0] * (len(second) + 1)
        for place, other in enumerate(second, 1):
            if unit == other:
                current[place] = previous[place - 1] + 1
                longest = max(longest, current[place])
        previous = current
    return longest
