"""Few-shot sampling: a few training rows, the same ones for the same seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from albert_zh.tasks.task import Row


def sampled(rows: Sequence[Row], count: int, seed: int, stream: str = "") -> list[Row]:
    """``count`` of the rows, or all where there are fewer, in the order of the file.

    A larger count holds the rows of a smaller one with the same seed.

    Args:
        seed: 0 or more.
        stream: a word that makes the draw independent of others with the same seed.
    """
    generator = np.random.Generator(np.random.PCG64([seed, *stream.encode()]))
    return [rows[place] for place in sorted(generator.permutation(len(rows))[:count])]


def sampled_per_label(rows: Sequence[Row], count: int, seed: int) -> list[Row]:
    """``count`` rows of every label, or all of its rows where it has fewer, in the order of the file.

    Which rows of a label are drawn depends on the seed, the label and its own rows alone: neither on the other labels
    nor on the order they come in.
    """
    by_label: dict[str | None, list[Row]] = {}
    for row in rows:
        by_label.setdefault(row.label, []).append(row)
    kept = {id(row) for label, own in by_label.items() for row in sampled(own, count, seed, f"label {label}")}
    return [row for row in rows if id(row) in kept]


def sampled_groups(rows: Sequence[Any], groups: Sequence[str], count: int, seed: int) -> list[Any]:
    """Whole groups of rows, drawn one by one until there are ``count`` rows or more, in the order of the file.

    Args:
        groups: the group of every row.
    """
    sizes = Counter(groups)
    names, drawn, held = list(sizes), set(), 0
    for place in np.random.Generator(np.random.PCG64([seed])).permutation(len(names)):
        if held >= count:
            break
        drawn.add(names[place])
        held += sizes[names[place]]
    return [row for row, group in zip(rows, groups, strict=True) if group in drawn]
