"""Raw texts to the answers of a task on sentences, or to a pretrained model's vectors, inside a TensorFlow graph.

Shapes: B texts, L length of the longest sequence, C classes, H hidden.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import tensorflow as tf

from albert_zh.export.graph_packing import begins_of, joined, pair_lengths, pieces
from albert_zh.export.graph_tokenizer import GraphTokenizer
from albert_zh.opened import OpenModel
from albert_zh.tasks.cloze import BLANK
from albert_zh.tasks.sentences import SentenceTask

Network = Callable[[Mapping[str, tf.Tensor]], Mapping[str, tf.Tensor]]


def inputs_of(task: SentenceTask | None) -> tuple[str, ...]:
    """What the texts are called: ``text``, or of a pair ``text_a`` and ``text_b``."""
    return task.text_names if task and task.kind == "pair" else ("text",)


class SentenceTexts:
    """Texts, or pairs of them, in; the answer of each out.

    Call it with the strings (B,) by the names of ``inputs_of``. It returns of a classification ``logits`` float32
    (B, C), ``probabilities`` (B, C), ``label`` and ``label_name`` string (B,); of a regression ``logits`` (B, 1) and
    ``value`` (B,); of a pretrained model its outputs and the ``input_ids`` and ``input_mask`` int32 (B, L) they are of.
    """

    def __init__(self, opened: OpenModel, network: Network):
        self.opened, self.network = opened, network
        self.tokenizer = GraphTokenizer(opened.tokenizer)
        self.inputs = inputs_of(opened.task)

    def __call__(self, **texts: tf.Tensor) -> dict[str, tf.Tensor]:
        inputs = self._packed([texts[name] for name in self.inputs])
        outputs, task = dict(self.network(inputs)), self.opened.task
        if task is None:
            return outputs | {name: inputs[name] for name in ("input_ids", "input_mask")}
        logits = outputs["logits"]
        if task.head.kind == "regression":
            return {"logits": logits, "value": logits[:, 0] * task.head.spread + task.head.mean}
        best = tf.argmax(logits, axis=-1)
        return {
            "logits": logits,
            "probabilities": tf.nn.softmax(logits),
            "label": tf.gather(tf.constant(task.labels), best),
            "label_name": tf.gather(tf.constant(self.opened.label_names), best),
        }

    def _packed(self, texts: list[tf.Tensor]) -> dict[str, tf.Tensor]:
        """What ``SentenceTask.featurize`` makes of the texts."""
        tokenizer, length = self.opened.tokenizer, self.opened.max_seq_length
        encoded = self.tokenizer.encode(tf.concat(texts, axis=0))
        counts, begins = (tf.split(part, len(texts)) for part in (encoded.counts, begins_of(encoded.counts)))
        cloze = getattr(self.opened.task, "cloze", None)
        room = length - (cloze.template_length if cloze else 1 + len(texts))
        kept = pair_lengths(*counts, room) if len(texts) == 2 else [tf.minimum(counts[0], room)]
        parts = [pieces(encoded.ids, begin, size) for begin, size in zip(begins, kept, strict=True)]
        head, tail = [tokenizer.cls_id], [tokenizer.sep_id]
        if not cloze:
            each = [pair for number, part in enumerate(parts) for pair in ((part, number), (tail, number))]
            return joined([(head, 0), *each], tokenizer.pad_id)
        slots = dict(zip(self.opened.task.text_names, parts, strict=True)) | {BLANK: [cloze.mask_id] * cloze.blanks}
        asked = [(slots[part] if isinstance(part, str) else part, 0) for part in cloze.parts]
        return joined([(head, 0), *asked, (tail, 0)], tokenizer.pad_id)
