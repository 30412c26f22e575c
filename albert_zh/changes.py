"""``changes``: what ALBERT changed in BERT, in numbers and on real text, for any size.

The three changes are those of Lan et al. 2019, https://arxiv.org/abs/1909.11942, section 3.1: factorized embeddings,
layers that share their weights, and sentence order as the second task of pretraining.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from albert_zh.config import AlbertConfig
from albert_zh.files import InputError, expand_paths
from albert_zh.models import parameters
from albert_zh.pretrain.documents import cut_at_documents, read_documents, whole_file
from albert_zh.pretrain.example import MaskedInstance
from albert_zh.pretrain.inspect import masked_example_text
from albert_zh.pretrain.masking import pack
from albert_zh.pretrain.options import CreateDataOptions
from albert_zh.pretrain.segments import Pair, sop_pairs
from albert_zh.pretrain.tagging import TaggedText, clause_mark_ids, tag_documents
from albert_zh.terminal import aligned, columns
from albert_zh.text.tokenizer import Tokenizer, load_tokenizer
from albert_zh.text.words import Segmenter, make_segmenter

#: Most tokens of both segments of the pair that is shown, so that it fits a screen.
PAIR_TOKENS = 64
#: About as much of each text is read: enough to choose a pair from, however long the file is.
READ_BYTES = 1 << 20
#: Columns of the widest line.
WIDTH = 80


def _shipped(name: str) -> str:
    """A file of this project: of the folder one works in, else of the checkout this code lies in."""
    return name if next(iter(Path().glob(name)), None) else str(Path(__file__).parents[1] / name)


def _size(name: str, text: str) -> Any:
    return field(default=None, metadata={"help": f"{text}, in place of the config's {name}.", "group": "other sizes"})


@dataclass(frozen=True)
class ChangesOptions:
    """Options of ``albert-zh changes``.

    Raises:
        InputError: a value is out of range.
    """

    bert_config_file: str = field(
        default=_shipped("albert_config/albert_config_base.json"),
        metadata={"help": "Config of the size to show; albert_config/ holds all.", "aliases": ("albert_config_file",)},
    )
    input_file: tuple[str, ...] | str = field(
        default=(_shipped("data/*.txt"),),
        metadata={"help": "Text the pair comes from: one sentence a line, a blank line between documents, UTF-8."},
    )
    seed: int = field(default=1, metadata={"help": "Chooses the pair, 0 or more.", "aliases": ("random_seed",)})
    hidden_size: int | None = _size("hidden_size", "H, width of the network")
    intermediate_size: int | None = _size("intermediate_size", "Width of the feed-forward network")
    num_hidden_layers: int | None = _size("num_hidden_layers", "Layers run one after another")
    vocab_size: int | None = _size("vocab_size", "V, rows of the word embedding")
    embedding_size: int | None = _size("embedding_size", "E, width of the word embedding")

    def __post_init__(self) -> None:
        if isinstance(self.input_file, str):
            object.__setattr__(self, "input_file", (self.input_file,))
        if self.seed < 0:
            raise InputError(f"--seed={self.seed}: must be 0 or more.")
        for name, value in self.sizes.items():
            if value < 1:
                raise InputError(f"--{name}={value}: must be 1 or more.")

    @property
    def sizes(self) -> dict[str, int]:
        """The sizes that were given, by their names in the config."""
        names = ("hidden_size", "intermediate_size", "num_hidden_layers", "vocab_size", "embedding_size")
        return {name: value for name in names if (value := getattr(self, name)) is not None}

    @property
    def config(self) -> AlbertConfig:
        """The config of the file with the sizes that were given. Raises InputError when they do not fit together."""
        config = AlbertConfig.from_json(self.bert_config_file)
        if self.hidden_size is not None:
            config = config.replace(num_attention_heads=1)  # divides any width; heads change no count
        return config.replace(**self.sizes)


def run(options: ChangesOptions) -> None:
    """Prints the three changes for one size, then the parameters of every config in ``albert_config/``.

    Raises:
        InputError: a config or a text cannot be used, or the text has no pair.
    """
    config, folder = options.config, Path(_shipped("albert_config"))
    configs = {path: AlbertConfig.from_json(path) for path in sorted(folder.glob("albert_config_*.json"))}
    tokenizer, segmenter = load_tokenizer(CreateDataOptions.vocab_file), make_segmenter()
    path, text, pair = choose_pair(options.input_file, tokenizer, segmenter, np.random.default_rng(options.seed))
    print("ALBERT's three changes to BERT")
    print(", ".join([options.bert_config_file, *(f"{name} {value}" for name, value in options.sizes.items())]))
    print(_described(config))
    for title, lines in (
        ("1. Factorized embeddings: two small tables in place of a large one", embedding_lines(config)),
        ("2. Layers share their weights", sharing_lines(config)),
        (f"3. Sentence order, on a pair from {path}", order_lines(text, pair, tokenizer, segmenter)),
        (f"Parameters of all configs in {folder}", config_table(configs)),
    ):
        print(f"\n{title}\n")
        print("\n".join(lines))


# ---------------------------------------------------------------------------------------------------------------------
# Numbers


def embedding_lines(config: AlbertConfig) -> list[str]:
    """The word embedding with and without factorization."""
    vocabulary, width, hidden = config.vocab_size, config.embedding_size, config.hidden_size
    bias = f" + {hidden}" if config.family == "google" else ""
    one = vocabulary * hidden
    two = parameters.word_embedding(config) + parameters.projection(config)
    return [
        _counted(f"BERT    V x H          = {vocabulary} x {hidden}", one),
        _counted(f"ALBERT  V x E + E x H  = {vocabulary} x {width} + {width} x {hidden}{bias}", two),
        _saved(one, two),
    ]


def sharing_lines(config: AlbertConfig) -> list[str]:
    """The weights of all layers with and without sharing, and what both changes together make of the network."""
    own, shared = parameters.layers(config, shared=False), parameters.layers(config)
    bert, albert = parameters.bert_encoder(config), parameters.encoder(config)
    sets = _number(config.num_hidden_groups, "set")
    return [
        _counted(f"BERT    {_number(config.num_hidden_layers, 'layer')}, a set of weights each", own),
        _counted(f"ALBERT  {_number(config.num_hidden_layers, 'layer')}, {sets} of weights among all", shared),
        _saved(own, shared),
        "  Memory is saved, not work: every layer is still computed.",
        "",
        "  Both changes together, with positions, token types and pooler:",
        _counted("BERT", bert),
        _counted("ALBERT", albert),
        _saved(bert, albert),
    ]


def config_table(configs: dict[Path, AlbertConfig]) -> list[str]:
    """One row a config: its shape, parameters without and with the heads of pretraining, and float32 megabytes.

    Families stand together, then vocabularies, small networks first.
    """
    head = ("config", "family", "layers", "H", "V", "encoder", "with heads", "MB")
    order = sorted(
        configs.items(), key=lambda item: (item[1].family, item[1].vocab_size, parameters.encoder(item[1]), item[0])
    )
    rows = [
        (
            path.stem.removeprefix("albert_config_"),
            config.family,
            str(config.num_hidden_layers),
            str(config.hidden_size),
            str(config.vocab_size),
            f"{parameters.encoder(config):,}",
            f"{parameters.pretraining(config):,}",
            f"{parameters.FLOAT32_BYTES * parameters.pretraining(config) / 1e6:.1f}",
        )
        for path, config in order
    ]
    return [
        *aligned(head, rows, left=("config", "family")),
        "",
        "encoder: embeddings, layers and pooler, which fine-tuning starts from.",
        "with heads: also those of pretraining, for masked words and sentence order.",
        "MB: a file of the latter in float32, in millions of bytes.",
    ]


def _described(config: AlbertConfig) -> str:
    return (
        f"{config.family} family, V {config.vocab_size}, E {config.embedding_size}, H {config.hidden_size}, "
        f"feed-forward {config.intermediate_size}, {_number(config.num_hidden_layers, 'layer')}"
    )


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _counted(text: str, count: int) -> str:
    return f"  {text:<{WIDTH - 19}} {count:>16,}"


def _saved(before: int, after: int) -> str:
    text = f"{before / after:.1f} times fewer" if after < before else "nothing saved at this size"
    return f"{text:>{WIDTH}}"


# ---------------------------------------------------------------------------------------------------------------------
# Text


def choose_pair(
    patterns: Sequence[str], tokenizer: Tokenizer, segmenter: Segmenter, rng: np.random.Generator
) -> tuple[Path, TaggedText, Pair]:
    """A random pair of a random document, made as ``create-data`` makes them: its file, all tokens, and the pair.

    Raises:
        InputError: a text cannot be read, or no document has a pair.
    """
    paths = expand_paths(patterns)
    documents = itertools.chain.from_iterable(
        read_documents(cut_at_documents(whole_file(path, number), READ_BYTES)[0]) for number, path in enumerate(paths)
    )
    text = tag_documents(documents, tokenizer, segmenter, clause_mark_ids(tokenizer), PAIR_TOKENS, Counter())
    for number in rng.permutation(len(text.documents)).tolist():
        document = text.documents[number]
        made = sop_pairs(
            document.start,
            document.sentence_ends,
            text.word_starts,
            text.after_punctuation,
            max_tokens=PAIR_TOKENS,
            short_seq_prob=0.0,
            rng=rng,
        )
        if made.pairs:
            return paths[document.file_number], text, made.pairs[int(rng.integers(len(made.pairs)))]
    raise InputError(
        f"{', '.join(map(str, paths))}: no pair could be made: a pair needs two words at least. Check the text."
    )


def order_lines(text: TaggedText, pair: Pair, tokenizer: Tokenizer, segmenter: Segmenter) -> list[str]:
    """The pair in order and swapped, as the model sees them before words are masked."""
    lines = ["  Two stretches of one document. Half of the pairs are swapped: which are?"]
    for swapped, title in ((False, "in order, label 0:"), (True, "swapped, label 1:")):
        packed = pack(text.ids, text.word_starts, pair._replace(swapped=swapped), tokenizer)
        nothing = np.zeros(0, np.int32)
        instance = MaskedInstance(packed.ids, packed.segment_ids, nothing, nothing, swapped)
        lines += ["", f"  {title}"]
        for segment in masked_example_text(instance, tokenizer, segmenter).split("\n"):
            lines += _wrapped(segment.split())
    return lines


def _wrapped(words: Iterable[str]) -> list[str]:
    """Indented lines of words, none wider than ``WIDTH`` columns where a word allows it."""
    lines, start = ["   "], True
    for word in words:
        if not start and columns(f"{lines[-1]} {word}") > WIDTH:
            lines.append("       ")
        lines[-1] += f" {word}"
        start = False
    return lines
