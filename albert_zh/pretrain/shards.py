"""Work shards: a fixed plan of byte ranges that no number of workers changes.

A shard's records depend on its spec alone (the text in its ranges, the options, its number as the seed), so they come
out the same on one core, on many, or on a cluster whose workers share the folder.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from albert_zh.files import InputError
from albert_zh.pretrain.documents import TextRange, cut_at_documents, whole_file
from albert_zh.pretrain.options import CreateDataOptions

#: A shard holds at most about this much text, which bounds the memory of a worker.
MAX_SHARD_BYTES = 4 << 20
#: Smaller shards would spend their time on files.
MIN_SHARD_BYTES = 128 << 10
#: A corpus is cut into about this many shards, if they are not too small or too large then.
SHARDS_OF_A_CORPUS = 64


@dataclass(frozen=True)
class ShardSpec:
    """All that a shard's records depend on, and where they go.

    Attributes:
        number: the shard's place in the plan, from 0; its seed.
        output: number of the output file its records belong to.
        ranges: the text.
        options: how records are made.
        folder: where its files are written: ``NAME.train``, ``NAME.dev``, and last ``NAME.json``.
    """

    number: int
    output: int
    ranges: tuple[TextRange, ...]
    options: CreateDataOptions
    folder: str

    @property
    def bytes(self) -> int:
        """Bytes of text."""
        return sum(text.bytes for text in self.ranges)

    def path(self, kind: str) -> Path:
        """The shard's file of a kind: "train", "dev" or "json"."""
        return Path(self.folder) / f"shard-{self.number:06d}.{kind}"


def plan_shards(inputs: Sequence[Path], outputs: int, options: CreateDataOptions, folder: str) -> list[ShardSpec]:
    """Cuts the inputs at document ends into shards and gives each output file a run of them.

    Raises:
        InputError: an input cannot be read or is empty, or there are fewer shards than output files.
    """
    files = [whole_file(path, number) for number, path in enumerate(inputs)]
    total = sum(file.bytes for file in files)
    shard_bytes = min(MAX_SHARD_BYTES, max(MIN_SHARD_BYTES, total // SHARDS_OF_A_CORPUS), -(-total // outputs))
    groups: list[list[TextRange]] = []
    filled = shard_bytes
    for text in itertools.chain.from_iterable(cut_at_documents(file, shard_bytes) for file in files):
        if filled + text.bytes > shard_bytes:
            groups.append([])
            filled = 0
        groups[-1].append(text)
        filled += text.bytes
    if len(groups) < outputs:
        raise InputError(
            f"{outputs} output files, but the text ({total:,} bytes) can be cut into {len(groups)} only, between "
            f"documents. Name fewer output files (or --num_shards={len(groups)})."
        )
    return [
        ShardSpec(number, number * outputs // len(groups), tuple(ranges), options, folder)
        for number, ranges in enumerate(groups)
    ]
