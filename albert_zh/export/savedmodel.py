"""A SavedModel as TensorFlow Serving takes it: the folder ``1``, with signatures for token ids and for raw text.

``serving_default`` takes ``input_ids``, ``input_mask`` and ``segment_ids``, int32 (B, L) of any B and L; all three are
needed, since a signature has no input that can be left out: a mask is 1 for tokens and 0 for padding, segments of a
single text are 0. It gives ``logits`` of a fine-tuned model; of a pretrained one ``sequence_output``, ``pooled_output``
and, with a masked-LM head, ``mlm_logits`` at every place (B, L, V).

``text`` takes strings of UTF-8, tokenised inside the graph exactly as ``finetune`` and ``predict`` do; see
``graph_sentences.SentenceTexts``, ``graph_tagging.TaggingTexts`` and ``graph_span.SpanTexts`` for its inputs and
outputs. It is there for tasks on sentences (Winograd's with both spans marked), tagging, reading comprehension and
pretrained models, all with a WordPiece vocabulary. It is not there for multiple choice, of which a row is more than
texts, and for SentencePiece models, whose search for pieces is no operation of TensorFlow: these take ids alone.

The file needs nothing but TensorFlow: neither this package nor Keras, and no table is there to be initialised. The
vocabulary is in ``assets``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from albert_zh.convert import tensorflow1
from albert_zh.export.graph_sentences import SentenceTexts
from albert_zh.export.graph_span import SpanTexts
from albert_zh.export.graph_tagging import TaggingTexts
from albert_zh.export.graph_tokenizer import GraphTokenizer
from albert_zh.export.network import network_of
from albert_zh.export.vectors import TEXTS as HARD_TEXTS
from albert_zh.files import InputError
from albert_zh.opened import OpenModel
from albert_zh.serve.network import INPUTS
from albert_zh.tasks.sentences import SentenceTask
from albert_zh.tasks.span import SpanTask
from albert_zh.tasks.tagging import TaggingTask
from albert_zh.text.tokenizer import SentencePieceTokenizer

#: The folder of the one version, by which TensorFlow Serving knows it.
VERSION = "1"
#: Kind of task to what is done around the network with its raw texts.
TEXTS = {SentenceTask: SentenceTexts, TaggingTask: TaggingTexts, SpanTask: SpanTexts}

Run = Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]


def no_text(opened: OpenModel) -> str:
    """Why a model's SavedModel has no signature ``text``; "" where it has one."""
    if isinstance(opened.tokenizer, SentencePieceTokenizer):
        return "its vocabulary is a SentencePiece model, whose search for pieces is no operation of TensorFlow"
    if opened.task and not isinstance(opened.task, tuple(TEXTS)):
        return f"a row of a task of kind {opened.task.kind!r} is more than texts"
    return ""


def write(opened: OpenModel, folder: str | os.PathLike[str], options: Any = None) -> None:
    """Adds the folder ``1`` to a folder that is being filled, which then is what ``--model_base_path`` names.

    Raises:
        InputError: the folder cannot be written, or the graph tokenises otherwise than the model's tokenizer.
    """
    specs = {name: tf.TensorSpec((None, None), tf.int32, name=name) for name in INPUTS}
    network = network_of(opened)

    @tf.function(input_signature=[specs], autograph=False)
    def answer(inputs):
        return network(inputs)

    @tf.function(autograph=False)
    def from_ids(**inputs):
        return answer(inputs)

    exported = tf.Module()
    exported.weights = [variable.value for variable in opened.model.variables]
    exported.vocabulary = tf.saved_model.Asset(str(opened.tokenizer.path))
    signatures = {"serving_default": from_ids.get_concrete_function(**specs)}
    if not no_text(opened):
        kind = next((texts for task, texts in TEXTS.items() if isinstance(opened.task, task)), SentenceTexts)
        texts = kind(opened, answer)
        _check(texts.tokenizer, opened)

        @tf.function(autograph=False)
        def from_texts(**given):
            return texts(**given)

        strings = {name: tf.TensorSpec((None,), tf.string, name=name) for name in texts.inputs}
        signatures["text"] = from_texts.get_concrete_function(**strings)
    version = Path(folder) / VERSION
    try:
        tf.saved_model.save(exported, str(version), signatures=signatures)
    except tf.errors.OpError as error:
        raise tensorflow1.unwritable(version, error) from error


def _check(in_graph: GraphTokenizer, opened: OpenModel) -> None:
    """Raises InputError unless hard texts come out of the graph as they come out of the model's tokenizer."""
    *found, counts = tf.function(in_graph.encode, autograph=False)(tf.constant([text.encode() for text in HARD_TEXTS]))
    ends = np.cumsum(counts)
    for text, count, end in zip(HARD_TEXTS, counts.numpy(), ends, strict=True):
        if [part[end - count : end].numpy().tolist() for part in found] != list(
            map(list, opened.tokenizer.encode(text))
        ):
            raise InputError(
                f"not written: {text!r} is tokenised otherwise inside the graph than by {opened.tokenizer.path}. "
                "This is a fault of this project or of the machine; please report it."
            )


def load(folder: str | os.PathLike[str], signature: str = "serving_default") -> Run:
    """A function of a signature's inputs by name that gives its outputs, run as TensorFlow loads the file."""
    loaded = tf.saved_model.load(str(Path(folder) / VERSION))
    function = loaded.signatures[signature]
    kinds = {name: spec.dtype for name, spec in function.structured_input_signature[1].items()}

    def run(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        tensors = {name: tf.convert_to_tensor(inputs[name], dtype) for name, dtype in kinds.items()}
        return {name: value.numpy() for name, value in function(**tensors).items()}

    run.loaded = loaded  # a function lives no longer than what it was loaded with
    return run
