"""The tokenizer of the exported models, standard library alone: to be ported line by line (see README.md)."""

import unicodedata

CHINESE = (
    (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F), (0x2B740, 0x2B81F), (0x2B820, 0x2CEAF), (0x2F800, 0x2FA1F),
)  # fmt: skip
MIDDLE = "'.:\u00b7\u0387\u055f\u05f4\u2018\u2019\u2024\u2027\ufe13\ufe52\ufe55\uff07\uff0e\uff1a"


def is_chinese(c):
    return any(first <= ord(c) <= last for first, last in CHINESE)


def is_space(c):
    return c in " \t\n\r\u2028\u2029" or unicodedata.category(c) == "Zs"


def is_dropped(c):
    return c in "\0\ufffd" or unicodedata.category(c) in ("Cc", "Cf")


def is_punctuation(c):
    return ("!" <= c <= "~" and not c.isalnum()) or unicodedata.category(c).startswith("P")


def is_cased(c):
    return c.islower() or c.isupper() or c.istitle()


def is_passed_over(c):  # when a sigma looks for its neighbours
    return c in MIDDLE or unicodedata.category(c) in ("Mn", "Me", "Cf", "Lm", "Sk")


def lower(word):
    """Character by character, but Σ is ς after a cased letter and not before one."""
    result = ""
    for place, c in enumerate(word):
        if c == "Σ":
            before = next((b for b in reversed(word[:place]) if not is_passed_over(b)), " ")
            after = next((a for a in word[place + 1 :] if not is_passed_over(a)), " ")
            c = "ς" if is_cased(before) and not is_cased(after) else "σ"
        result += c.lower()
    return result


def basic_tokens(text, lower_case):
    """Words, ideographs and punctuation marks: cleaned, and if asked lower-cased and without accents."""
    words, word = [], ""
    for c in text + " ":
        if is_space(c) or is_chinese(c):
            words += [word, c] if is_chinese(c) else [word]
            word = ""
        elif not is_dropped(c):
            word += c
    tokens = []
    for word in words:
        if lower_case:
            word = "".join(c for c in unicodedata.normalize("NFD", lower(word)) if unicodedata.category(c) != "Mn")
        tokens += "".join(f" {c} " if is_punctuation(c) else c for c in word).split(" ")
    return [token for token in tokens if token]


class Tokenizer:
    def __init__(self, entries, lower_case=True):
        """Entries: the lines of vocab.txt, cut at line feeds alone; a token's id is its line number from 0."""
        self.ids = {entry.strip(" \t\r\ufeff"): number for number, entry in enumerate(entries)}
        self.lower_case = lower_case

    def encode(self, text):
        """The ids of a text, nothing added."""
        return [number for token in basic_tokens(text, self.lower_case) for number in self.pieces(token)]

    def pieces(self, token):
        """The longest entries from the left; all of the token is [UNK] when some rest matches none."""
        found, begin = [], 0
        while begin < len(token) <= 200:  # code points
            mark, end = "##" if begin else "", len(token)
            while end > begin and mark + token[begin:end] not in self.ids:
                end -= 1
            if end == begin:
                return [self.ids["[UNK]"]]
            found.append(self.ids[mark + token[begin:end]])
            begin = end
        return found or [self.ids["[UNK]"]]

    def pack(self, first, second, length, pad=False):
        """input_ids, input_mask, segment_ids of a text, or of two (second may be None), of at most ``length``."""
        a, b = self.encode(first), [] if second is None else self.encode(second)
        while len(a) + len(b) > length - (2 if second is None else 3):
            (a if len(a) > len(b) else b).pop()
        cls, sep = self.ids["[CLS]"], self.ids["[SEP]"]
        ids = [cls, *a, sep] + ([] if second is None else [*b, sep])
        segments = [0] * (len(a) + 2) + [1] * (len(ids) - len(a) - 2)
        rest = (length - len(ids)) * pad
        return ids + [self.ids["[PAD]"]] * rest, [1] * len(ids) + [0] * rest, segments + [0] * rest
