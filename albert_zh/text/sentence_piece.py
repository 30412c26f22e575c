"""ALBERT's English tokenizer: the pieces of a SentencePiece model, with offsets into the text before its clean-up."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator

import numpy as np

from albert_zh.files import InputError
from albert_zh.text.characters import is_punctuation
from albert_zh.text.interface import Encoding, Tokenizer

#: Padding, unknown, beginning, separator, mask.
SPECIAL_TOKENS = ("<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]")

#: Half of a character, from an escape in a JSON file: it cannot be written as UTF-8.
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


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

    kind = "sentencepiece"
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
        self._take_entries(tokens, SPECIAL_TOKENS, advice)
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
            if ends_in_number_and_comma(piece):
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
        clean = _LONE_SURROGATE.sub("\ufffd", clean)  # of the same length, so that offsets hold
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


def _begins_word(piece: str) -> bool:
    """A SentencePiece piece that begins a word: "▁..." or punctuation other than an apostrophe."""
    return piece.startswith("▁") or (piece != "'" and len(piece) == 1 and is_punctuation(piece))


def ends_in_number_and_comma(piece: str) -> bool:
    """A piece such as "9,", which ALBERT cuts into the number's pieces and the comma."""
    return len(piece) > 1 and piece[-1] == "," and piece[-2].isdigit()
