"""The scores of every word of the vocabulary at places of sequences, by the masked-LM head."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from albert_zh import pretrained
from albert_zh.files import InputError
from albert_zh.models.heads import AlbertForPretraining
from albert_zh.opened import LENGTH, OpenModel
from albert_zh.serve.batches import by_length
from albert_zh.serve.given import Model
from albert_zh.serve.network import INPUTS, Network


class MaskedWords:
    """The masked-LM head of a model as a function of sequences and places in them.

    Args:
        model: a model with that head and a vocabulary, as ``load_pretrained`` takes it, or an open one.
        lower_case: lower-case the text; None: as the model's own files say.

    Raises:
        InputError: a model without masked-LM head or vocabulary.
    """

    def __init__(self, model: Model, lower_case: bool | None = None):
        opened = model if isinstance(model, OpenModel) else None
        self.source = opened.source if opened else pretrained.find(model)
        if not self.source.has_masked_lm:
            raise InputError(
                f"{self.source.where}: no masked-LM head, which fills the blank. Give a pretrained checkpoint."
            )
        same = opened is not None and lower_case in (None, opened.tokenizer.lower_case)
        self.tokenizer = opened.tokenizer if same else pretrained.tokenizer_of(self.source, lower_case=lower_case)
        self.max_seq_length = min(LENGTH, self.source.config.max_position_embeddings)
        network = opened.model if opened else None
        if not isinstance(network, AlbertForPretraining):  # a cloze answers with its own words alone
            network, _ = pretrained.load(self.source)
        self._network = Network(
            lambda inputs: network(inputs, heads_only=True)["mlm_logits"], (*INPUTS, "masked_lm_positions")
        )

    def batches(
        self, rows: Sequence[tuple[Sequence[int], Sequence[int]]], size: int
    ) -> Iterator[tuple[list[int], np.ndarray]]:
        """Yields the numbers of up to ``size`` rows, and their scores float32 (B, P, V).

        Args:
            rows: ids of a sequence, and P places in it, as many in every row.
            size: rows computed at once.
        """
        sequences = [ids for ids, _ in rows]
        segments, longest = [[0] * len(ids) for ids in sequences], self.source.config.max_position_embeddings
        for part, inputs in by_length(sequences, segments, size, self.tokenizer.pad_id, longest):
            inputs["masked_lm_positions"] = np.array([rows[number][1] for number in part], np.int32)
            yield part, self._network(inputs)
