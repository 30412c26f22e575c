"""``inspect``: what a record file holds, for the eye: words apart, masks coloured, in the terminal or as an HTML page.

Records store no words, so they are found again in the text with its masks undone; records of other BERT tools show too.
"""

from __future__ import annotations

import html
import itertools
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from albert_zh.files import InputError, atomic_writer
from albert_zh.pretrain.example import MaskedInstance
from albert_zh.pretrain.manifest import find_manifest
from albert_zh.pretrain.records import RecordIndex
from albert_zh.text.tokenizer import Encoding, Tokenizer, load_tokenizer
from albert_zh.text.words import Segmenter, make_segmenter, segment, word_numbers

#: How a token was changed -> terminal colour (ANSI), and what the legend says.
KINDS = {
    "mask": ("1;97;41", "masked"),
    "random": ("1;30;43", "replaced at random"),
    "kept": ("1;30;42", "kept, to predict all the same"),
    "special": ("2", "special token"),
    "plain": ("", ""),
}

STYLE = """
.masked-example{font-family:"Noto Sans CJK SC","Noto Sans SC","Source Han Sans SC","PingFang SC","Hiragino Sans GB",
"Microsoft YaHei","WenQuanYi Micro Hei","SimHei",sans-serif;line-height:2.4;margin:1em 0;color:#1f2328}
.masked-example .facts{line-height:1.5;color:#57606a;font-size:.9em}
.masked-example .word{padding:.15em .1em;margin:0 .1em;border-bottom:2px solid #b6c2cf;white-space:nowrap}
.masked-example .long{white-space:normal}
.masked-example .special{color:#8c959f;font-size:.8em;margin:0 .3em}
.masked-example ruby{border-radius:.25em;padding:0 .15em;margin:0 1px}
.masked-example rt{font-size:.75em;font-weight:bold;color:#1f2328}
.masked-example .mask{background:#ffd0cc;color:#a40e26;font-size:.85em}
.masked-example .random{background:#fff1b8}
.masked-example .kept{background:#c9f0d0}
"""


@dataclass(frozen=True)
class InspectOptions:
    """Options of ``inspect``."""

    input_file: str = field(metadata={"help": "TFRecord file to look into.", "positional": True})
    vocab_file: str = field(
        default="", metadata={"help": "Vocabulary of the records; found by the file's manifest if there is one."}
    )
    spm_model_file: str = field(
        default="", metadata={"help": "SentencePiece model, instead of vocab_file.", "aliases": ("sp_model_file",)}
    )
    do_lower_case: bool = field(default=True, metadata={"help": "How the records' text was tokenised."})
    segmenter: str = field(
        default="rjieba", metadata={"help": "Engine that finds the words again: rjieba, jieba or none."}
    )
    num: int = field(default=5, metadata={"help": "Instances to show."})
    start: int = field(default=0, metadata={"help": "First instance to show, from 0."})
    html: str = field(default="", metadata={"help": "Write a self-contained HTML page of them here."})
    color: str = field(
        default="auto", metadata={"help": "Colours in the terminal: auto (when it is one), always, never."}
    )


@dataclass(frozen=True)
class ShownToken:
    """A token as shown: what the model sees, what stood there, how it was changed (a key of ``KINDS``), its word."""

    seen: str
    original: str
    kind: str
    word: int


def run(options: InspectOptions) -> None:
    """Prints instances of a record file, and writes the HTML page if asked.

    Raises:
        InputError: the file is damaged, holds no pretraining records, or the vocabulary does not belong to it.
    """
    if options.color not in ("auto", "always", "never"):
        raise InputError(f"--color={options.color}: must be auto, always or never.")
    if options.num < 1 or options.start < 0:
        raise InputError(f"--num={options.num} --start={options.start}: show 1 instance or more, from 0 on.")
    manifest = find_manifest(Path(options.input_file))
    made = manifest["options"] if manifest else {}
    spm_model_file = options.spm_model_file or ("" if options.vocab_file else made.get("spm_model_file", ""))
    vocab_file = "" if spm_model_file else options.vocab_file or made.get("vocab_file", "")
    if not (spm_model_file or vocab_file):
        raise InputError(f"{options.input_file}: no manifest names its vocabulary. Give --vocab_file.")
    tokenizer = load_tokenizer(
        vocab_file or None, spm_model_file or None, made.get("do_lower_case", options.do_lower_case)
    )
    if manifest and manifest["identity"]["vocabulary"]["sha256"] != tokenizer.fingerprint:
        raise InputError(
            f"{tokenizer.path}: not the vocabulary of {options.input_file} (sha256 {tokenizer.fingerprint[:12]}, its "
            f"manifest says {manifest['identity']['vocabulary']['sha256'][:12]}). Give that one as --vocab_file."
        )
    segmenter = make_segmenter("none" if made.get("non_chinese") else options.segmenter)
    coloured = options.color == "always" or (options.color == "auto" and sys.stdout.isatty())

    with RecordIndex(options.input_file) as index:
        if options.start >= len(index):
            raise InputError(f"{options.input_file}: has {len(index):,} records, none at --start={options.start}.")
        numbers = range(options.start, min(options.start + options.num, len(index)))
        instances = [(number, index.instance(number)) for number in numbers]
        print(f"{options.input_file}: {len(index):,} records, {int(index.length.sum()) / 1e6:.1f} MB")
    if manifest:
        counted = ", ".join(f"{name} {share:.2%}" for name, share in manifest["shares"].items())
        print(f"whole run: {manifest['counts']['instances']:,} instances; {counted}")
    print("legend: " + "  ".join(_coloured(text, kind, coloured) for kind, (_, text) in KINDS.items() if text))
    print("        seen⟨original⟩; a space ends a word")
    for number, instance in instances:
        print(f"\nrecord {number}: {facts(instance)}")
        print(masked_example_text(instance, tokenizer, segmenter, coloured))
    if options.html:
        with atomic_writer(options.html) as stream:
            stream.write(page(options.input_file, instances, tokenizer, segmenter))
        print(f"\nwritten: {options.html}")


def shown_tokens(instance: MaskedInstance, tokenizer: Tokenizer, segmenter: Segmenter) -> list[ShownToken]:
    """Every token of an instance, in order, with its word's number; special tokens are words of their own."""
    original = instance.original_ids
    seen_strings = tokenizer.tokens(instance.input_ids.tolist())
    original_strings = tokenizer.tokens(original.tolist())
    kinds = np.full(len(original), "plain", object)
    kinds[np.isin(original, (tokenizer.cls_id, tokenizer.sep_id))] = "special"
    is_mask = instance.input_ids == tokenizer.mask_id
    # Legacy labels name the "##" twin of a kept Chinese character: the same character.
    for place in instance.positions.tolist():
        same = seen_strings[place].removeprefix("##") == original_strings[place].removeprefix("##")
        kinds[place] = "mask" if is_mask[place] else "kept" if same else "random"
    words = np.zeros(len(original), np.int64)
    for begin, end in _segments(kinds):
        words[begin:end] = _words(original[begin:end].tolist(), original_strings[begin:end], tokenizer, segmenter)
    # One running number: a new word begins where the number inside the segment changes, and at special tokens.
    special = kinds == "special"
    begins = (np.diff(words, prepend=-1) != 0) | special | np.append(False, special[:-1])
    numbers = np.cumsum(begins) - 1
    return [
        ShownToken(seen, label, kind, word)
        for seen, label, kind, word in zip(
            seen_strings, original_strings, kinds.tolist(), numbers.tolist(), strict=True
        )
    ]


def facts(instance: MaskedInstance) -> str:
    """Lengths, share masked and the sentence-order label of an instance, in one line."""
    tokens, masked = len(instance.input_ids), len(instance.positions)
    order = "1 (swapped)" if instance.swapped else "0 (in order)"
    return f"{tokens} tokens, {masked} to predict ({masked / tokens:.1%}), sentence-order label {order}"


def masked_example_text(
    instance: MaskedInstance, tokenizer: Tokenizer, segmenter: Segmenter, coloured: bool = False
) -> str:
    """The instance in one line a segment, words apart by spaces, a changed token as ``seen⟨original⟩``."""
    lines: list[str] = []
    for _, word in itertools.groupby(shown_tokens(instance, tokenizer, segmenter), key=lambda token: token.word):
        text = ""
        for token in word:
            plain = token.seen.removeprefix("##").removeprefix("▁")
            beside = f"⟨{token.original}⟩" if token.kind in ("mask", "random", "kept") else ""
            text += _coloured(plain + beside, token.kind, coloured)
        if not lines or lines[-1].endswith("\n"):
            lines.append(text)
        else:
            lines[-1] += " " + text
        if token.kind == "special" and token.seen != tokenizer.tokens([tokenizer.cls_id])[0]:
            lines[-1] += "\n"
    return "".join(lines).rstrip("\n")


def masked_example_html(
    instance: MaskedInstance, tokenizer: Tokenizer, segmenter: Segmenter | None = None, with_style: bool = True
) -> str:
    """The instance as a fragment of HTML: words underlined, what the model sees coloured, the original token above it.

    Arguments:
        instance: what to show.
        tokenizer: gives the tokens' strings.
        segmenter: finds the words; rjieba when None.
        with_style: put the ``<style>`` it needs in front; leave it out for all but the first fragment of a page.
    """
    segmenter = segmenter or make_segmenter()
    parts = [f"<style>{STYLE}</style>"] if with_style else []
    parts.append(f'<div class="masked-example" lang="zh"><p class="facts">{html.escape(facts(instance))}</p><p>')
    for _, word in itertools.groupby(shown_tokens(instance, tokenizer, segmenter), key=lambda token: token.word):
        tokens = list(word)
        inside = "".join(_token_html(token) for token in tokens)
        if tokens[0].kind == "special":
            parts.append(inside)
        else:
            parts.append(f'<span class="word{" long" if len(tokens) > 8 else ""}">{inside}</span><wbr>')
    parts.append("</p></div>")
    return "".join(parts)


def page(title: str, instances: list[tuple[int, MaskedInstance]], tokenizer: Tokenizer, segmenter: Segmenter) -> str:
    """A self-contained HTML page of (record number, instance)."""
    legend = "".join(f'<span class="{kind}"> {text} </span> ' for kind, (_, text) in KINDS.items() if text)
    body = "\n".join(
        f"<h2>record {number}</h2>\n{masked_example_html(instance, tokenizer, segmenter, with_style=False)}"
        for number, instance in instances
    )
    return (
        f'<!DOCTYPE html>\n<html lang="zh"><head><meta charset="utf-8"><title>{html.escape(title)}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<style>body{max-width:60em;margin:2em auto;padding:0 1em;font-family:sans-serif}h2{font-size:1em}"
        f"{STYLE}</style></head>\n<body><h1>{html.escape(title)}</h1>\n"
        f'<div class="masked-example">{legend}<span class="facts">(the original token stands above)</span></div>\n'
        f"{body}\n</body></html>\n"
    )


def _segments(kinds: np.ndarray) -> Iterator[tuple[int, int]]:
    """(begin, end) of the stretches between special tokens."""
    special = [-1, *np.flatnonzero(kinds == "special").tolist(), len(kinds)]
    for before, after in itertools.pairwise(special):
        if after - before > 1:
            yield before + 1, after


def _words(ids: list[int], tokens: list[str], tokenizer: Tokenizer, segmenter: Segmenter) -> list[int]:
    """The word of each token of one segment, found in the text put together from the tokens."""
    text, starts, ends = "", [], []
    for number, token in zip(ids, tokens, strict=True):
        shown = "□" if number == tokenizer.unk_id else token.removeprefix("##").lstrip("▁") or " "
        apart = not tokenizer.is_continuation[number] and text[-1:].isalnum() and text[-1:].isascii()
        if token.startswith("▁") or (apart and shown[0].isalnum() and shown.isascii()):
            text += " "  # two words of letters had a space between them
        starts.append(len(text))
        text += shown
        ends.append(len(text))
    return word_numbers(Encoding(ids, starts, ends), segment(text, segmenter), tokenizer)


def _coloured(text: str, kind: str, coloured: bool) -> str:
    code = KINDS[kind][0]
    return f"\033[{code}m{text}\033[0m" if coloured and code else text


def _token_html(token: ShownToken) -> str:
    seen = html.escape(token.seen.removeprefix("##").removeprefix("▁"))
    if token.kind == "plain":
        return seen
    if token.kind == "special":
        return f'<span class="special">{seen}</span>'
    original = html.escape(token.original)
    return f'<ruby class="{token.kind}" title="{KINDS[token.kind][1]}">{seen}<rt>{original}</rt></ruby>'
