"""What of a model is exported: a function of three arrays of token ids, and its outputs by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from keras import ops

from albert_zh.convert.weights import heads_in
from albert_zh.opened import OpenModel


def network_of(opened: OpenModel) -> Callable[[Mapping], dict]:
    """A function of ``INPUTS`` that gives what clients of an exported model read, in a graph or outside of one.

    Fine-tuned: ``logits``, as ``task.decode`` reads them; of a multiple choice those of one choice, (B, 1). Pretrained:
    ``sequence_output`` (B, L, H) and, as far as the checkpoint has a pooler and a masked-LM head, ``pooled_output``
    (B, H) and ``mlm_logits`` (B, L, V).
    """

    def answer(inputs):
        return {"logits": opened.model(inputs, heads_only=True)["logits"]}

    def encode(inputs):
        if not with_words:
            outputs = opened.model(inputs)
        else:
            ids = inputs["input_ids"]
            every = ops.zeros_like(ids) + ops.arange(ops.shape(ids)[1], dtype="int32")
            outputs = opened.model({**inputs, "masked_lm_positions": every})
        return {name: outputs[name] for name in names}

    if opened.task:
        return answer
    with_words, pools = opened.fills_blanks, "pooler" in heads_in(opened.source.shapes)
    names = ["sequence_output", *["pooled_output"] * pools, *["mlm_logits"] * with_words]
    return encode
