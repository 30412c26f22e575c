"""The model for a head, by the name tasks call it."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from albert_zh.config import AlbertConfig
from albert_zh.models.heads import AlbertForChoice, AlbertForClassification, AlbertForCloze
from albert_zh.models.token_heads import AlbertForSpan, AlbertForTagging


def model_for(
    config: AlbertConfig,
    kind: str,
    outputs: int,
    *,
    words: Sequence[Sequence[int]] = (),
    mask_id: int = 0,
    seed: int = 0,
    dtype: str | None = None,
) -> keras.Model:
    """The network that ends in a head, with fresh weights.

    Args:
        config: of the encoder.
        kind: "classification", "regression", "cloze", "choice", "span", "tagging" or "crf".
        outputs: classes, or tags.
        words, mask_id: of a cloze; see ``AlbertForCloze``.
        seed: of the weights and of dropout.
        dtype: number format of the layers.
    """
    shared = {"seed": seed, "dtype": dtype}
    if kind == "cloze":
        return AlbertForCloze(config, words, mask_id, **shared)
    if kind == "choice":
        return AlbertForChoice(config, **shared)
    if kind == "span":
        return AlbertForSpan(config, **shared)
    if kind in ("tagging", "crf"):
        return AlbertForTagging(config, outputs, kind == "crf", **shared)
    return AlbertForClassification(config, outputs, **shared)
