"""A ``.tflite`` file for LiteRT: phones, small machines, and the quickest way to answer one text on a processor.

Signature ``serving_default``: ``input_ids``, ``input_mask``, ``segment_ids``, int32 (1, L), to the outputs of
``network.network_of``. A pretrained model's file has ``fill_mask`` besides, with ``masked_lm_positions`` (1, P) too, to
``mlm_logits`` (1, P, V), which its ``serving_default`` leaves out: on a phone few places are asked for.

L is any length, or one. The converter holds on to memory and writes to standard error, so it runs in a process of its
own.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from albert_zh.export.interpreter import FILE, FILL_MASK, SIGNATURE, open_file, runtime
from albert_zh.export.network import network_of
from albert_zh.export.options import ExportOptions
from albert_zh.export.sentences import sequences
from albert_zh.files import InputError, atomic_writer, first_line
from albert_zh.opened import OpenModel, open_model
from albert_zh.serve.network import INPUTS
from albert_zh.workers import call_in_process

POSITIONS = "masked_lm_positions"
#: Places of a sequence that ``fill_mask`` of a file of one length is asked for.
PREDICTIONS = 20
#: Sentences whose numbers between the layers set the scales of ``--quantize=int8``.
CALIBRATED = 100


# ---------------------------------------------------------------------------------------------------------------------
# Out


def write(opened: OpenModel, folder: Path, options: ExportOptions) -> None:
    """Adds ``model.tflite`` to a folder that is being filled.

    Raises:
        InputError: LiteRT is not installed, a length that the model has not, or the converter gave up.
    """
    runtime()
    longest = opened.source.config.max_position_embeddings
    if options.length and options.length > longest:
        raise InputError(f"--max_seq_length={options.length}: the model has {longest} positions. Give less.")
    advice = "it needs about ten times the size of the model."
    call_in_process("albert_zh.export.litert:convert", options, str(Path(folder) / FILE), advice=advice)


def convert(options: ExportOptions, file: str) -> None:
    """Writes the file of ``options``; called in a process of its own."""
    opened = open_model(options.model)
    for block in (block for group in opened.model.encoder.groups for block in group):
        block.attention.fused = False
    signatures = _signatures(opened, options.length)
    with tempfile.TemporaryDirectory() as folder:
        exported = tf.Module()
        exported.weights = [variable.value for variable in opened.model.variables]
        tf.saved_model.save(exported, folder, signatures=signatures)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(signatures))
        _quantize(converter, opened, options)
        try:
            content = converter.convert()
        except Exception as error:  # the converter raises whatever a pass of it raised
            raise InputError(
                f"{options.model}: TensorFlow's converter gave up with --quantize={options.quantize} "
                f"({first_line(error)}). Try another --quantize, or a fixed --max_seq_length."
            ) from error
    with atomic_writer(file, "wb") as stream:
        stream.write(content)


def _signatures(opened: OpenModel, length: int | None) -> dict[str, Any]:
    network, model = network_of(opened), opened.model
    specs = {name: tf.TensorSpec((1, length), tf.int32, name=name) for name in INPUTS}

    @tf.function(autograph=False)
    def answer(**inputs):
        return {name: value for name, value in network(inputs).items() if name != "mlm_logits"}

    @tf.function(autograph=False)
    def fill(**inputs):
        return {"mlm_logits": model(inputs, heads_only=True)["mlm_logits"]}

    signatures = {SIGNATURE: answer.get_concrete_function(**specs)}
    if opened.fills_blanks:
        places = tf.TensorSpec((1, None if length is None else min(PREDICTIONS, length)), tf.int32, name=POSITIONS)
        signatures[FILL_MASK] = fill.get_concrete_function(**specs, **{POSITIONS: places})
    return signatures


def _quantize(converter: tf.lite.TFLiteConverter, opened: OpenModel, options: ExportOptions) -> None:
    if options.quantize == "none":
        return
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if options.quantize == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if options.quantize == "int8":
        converter.representative_dataset = lambda: _calibration(opened, options)


def _calibration(opened: OpenModel, options: ExportOptions) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Real sentences for each signature, as the converter runs them to see what numbers come up.

    All are padded to the length of the longest: the converter's interpreter takes the first one's for all.
    """
    found = sequences(opened, options, CALIBRATED)
    length = options.length or max(map(len, found.input_ids))
    for ids, segments in zip(found.input_ids, found.segment_ids, strict=True):
        given = _row(ids, segments, length, opened.tokenizer.pad_id)
        yield SIGNATURE, given
        if opened.fills_blanks:
            yield FILL_MASK, given | {POSITIONS: np.arange(min(PREDICTIONS, length), dtype=np.int32)[None] % len(ids)}


def _row(ids: Sequence[int], segments: Sequence[int], length: int, pad_id: int) -> dict[str, np.ndarray]:
    padding = length - len(ids)
    columns = ((ids, pad_id), (np.ones(len(ids), np.int32), 0), (segments, 0))
    arrays = [
        np.pad(np.asarray(values, np.int32), (0, padding), constant_values=fill)[None] for values, fill in columns
    ]
    return dict(zip(INPUTS, arrays, strict=True))


# ---------------------------------------------------------------------------------------------------------------------
# In


def load(folder: Path) -> Any:
    """The file of a folder as a function of padded batches, ``targets.Run``; rows are answered one after the other.

    Raises:
        InputError: the file is missing or damaged.
    """
    found = open_file(Path(folder) / FILE)
    names = found.get_signature_list()
    answer = found.get_signature_runner(SIGNATURE)
    fill = found.get_signature_runner(FILL_MASK) if FILL_MASK in names else None
    fixed = int(answer.get_input_details()["input_ids"]["shape_signature"][1])

    def run_row(given: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        width = given["input_ids"].shape[1]
        wide = {name: np.pad(array, ((0, 0), (0, max(fixed - width, 0)))) for name, array in given.items()}
        outputs = dict(answer(**wide))
        if fill:
            outputs["mlm_logits"] = _filled(fill, wide, width)
        per_token = ("sequence_output", *["logits"] * (outputs.get("logits", np.empty(0)).ndim == 3))
        return {name: value[:, :width] if name in per_token else value for name, value in outputs.items()}

    def run(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        rows = [run_row({name: inputs[name][[row]] for name in INPUTS}) for row in range(len(inputs["input_ids"]))]
        return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}

    return run


def _filled(fill: Any, given: Mapping[str, np.ndarray], width: int) -> np.ndarray:
    """The scores at every place (1, width, V), asked for in as many calls as the file needs."""
    size = int(fill.get_input_details()[POSITIONS]["shape_signature"][1])
    size = width if size < 0 else size
    places = np.pad(np.arange(width, dtype=np.int32), (0, -width % size))
    parts = [fill(**given, **{POSITIONS: part[None]})["mlm_logits"] for part in places.reshape(-1, size)]
    return np.concatenate(parts, axis=1)[:, :width]
