"""CreateDataOptions: what ``create-data`` can be told, checked once."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from albert_zh.files import InputError


def _option(default: Any, text: str, *aliases: str) -> Any:
    return field(default=default, metadata={"help": text, "aliases": aliases})


#: This project's own: of the folder one works in, else of the checkout this code lies in.
_VOCABULARY = "albert_config/vocab.txt"
if not os.path.exists(_VOCABULARY):
    _VOCABULARY = str(Path(__file__).parents[2] / _VOCABULARY)


@dataclass(frozen=True)
class CreateDataOptions:
    """Options of ``create-data``; each field is a flag of that name.

    Raises:
        InputError: a value is out of range or two contradict each other.
    """

    input_file: tuple[str, ...] | str = _option(
        (), "Text: files, patterns, or a list with commas. One sentence a line, a blank line between documents, UTF-8."
    )
    output_file: tuple[str, ...] | str = _option((), "TFRecord file to write, or several with commas (see num_shards).")
    vocab_file: str = _option(_VOCABULARY, "WordPiece vocabulary, one token a line.")
    spm_model_file: str = _option("", "SentencePiece model, used instead of vocab_file.", "sp_model_file")
    do_lower_case: bool = _option(True, "Lower-case the text and strip accents; as the checkpoint had it.")
    do_whole_word_mask: bool = _option(True, "Mask words whole; False masks single tokens (and ngram has no effect).")
    max_seq_length: int = _option(512, "Longest instance in tokens, special tokens counted: 8 to 512.")
    max_predictions_per_seq: int = _option(51, "Most masked tokens of an instance: max_seq_length * masked_lm_prob.")
    masked_lm_prob: float = _option(0.10, "Share of the tokens to mask: 0.10 in the published Chinese recipe.")
    ngram: int = _option(3, "Longest run of words masked together, p(n) ~ 1/n as in the ALBERT paper; 1: single words.")
    non_chinese: bool = _option(False, "Words are what the tokenizer's pieces say; no Chinese segmentation.")
    dupe_factor: int = _option(10, "Passes over the text, each with its own pairs and masks.")
    short_seq_prob: float = _option(0.1, "Share of instances made shorter on purpose, as fine-tuning sees short texts.")
    random_seed: int = _option(12345, "Seed of every draw, 0 or more.")
    segmenter: str = _option("rjieba", "Engine that finds words: rjieba, jieba, or none (the tokenizer's pieces).")
    user_dictionary: str = _option("", "Words of your own for the segmenter: lines of 'word [frequency [tag]]'.")
    num_workers: int = _option(0, "Processes; 0: one for each core. The records are the same for any number.")
    num_shards: int = _option(0, "Output files to cut output_file into: NAME-00000-of-0000N.tfrecord ...")
    legacy_subword_labels: bool = _option(
        False, "Labels with '##' for Chinese characters inside words: only to continue an old brightmart checkpoint."
    )
    pad_records: bool = _option(False, "Fill the lists up to the maxima for older readers; twice the size.")
    dev_share: float = _option(0.0, "Share of documents kept out of training for evaluation: 0 to 0.5.")
    dev_output_file: str = _option("", "TFRecord file of the documents kept out, one pass over them.")
    overwrite: bool = _option(False, "Replace the records of another run.")

    def __post_init__(self) -> None:
        for name in ("input_file", "output_file"):
            value = getattr(self, name)
            words = (value,) if isinstance(value, str) else tuple(value)
            object.__setattr__(self, name, tuple(part for word in words for part in str(word).split(",") if part))
        rules: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
            ("max_seq_length", lambda value: 8 <= value <= 512, "from 8 to 512 tokens"),
            ("max_predictions_per_seq", lambda value: 1 <= value <= self.max_seq_length, "from 1 to max_seq_length"),
            ("masked_lm_prob", lambda value: 0 < value < 1, "above 0 and below 1, such as 0.10"),
            ("ngram", lambda value: 1 <= value <= 16, "from 1 to 16 words"),
            ("dupe_factor", lambda value: value >= 1, "1 or more"),
            ("short_seq_prob", lambda value: 0 <= value <= 1, "from 0 to 1"),
            ("random_seed", lambda value: value >= 0, "0 or more"),
            ("num_workers", lambda value: value >= 0, "0 (all cores) or more"),
            ("num_shards", lambda value: value >= 0, "0 (as many as output files are named) or more"),
            ("dev_share", lambda value: 0 <= value <= 0.5, "from 0 to 0.5"),
        )
        for name, holds, allowed in rules:
            if not holds(getattr(self, name)):
                raise InputError(f"--{name}={getattr(self, name)}: must be {allowed}.")
        if not self.input_file:
            raise InputError("no text was named. Give --input_file=FILE (or several, or a pattern such as data/*.txt).")
        if not self.output_file:
            raise InputError("no output was named. Give --output_file=FILE.tfrecord.")
        if self.num_shards > 1 and len(self.output_file) > 1:
            raise InputError("--num_shards makes many files of one output_file: name one, or leave num_shards out.")
        if bool(self.dev_share) != bool(self.dev_output_file):
            raise InputError(
                "--dev_share and --dev_output_file belong together: a share of documents and the file they go to."
            )

    @property
    def outputs(self) -> tuple[Path, ...]:
        """Record files for training."""
        if self.num_shards <= 1:
            return tuple(map(Path, self.output_file))
        path = Path(self.output_file[0])
        names = (f"{path.stem}-{i:05d}-of-{self.num_shards:05d}{path.suffix}" for i in range(self.num_shards))
        return tuple(path.with_name(name) for name in names)
