"""An ONNX file of any batch and length, for ONNX Runtime and whatever else reads ONNX.

It is made by tf2onnx from the same TensorFlow function that a SavedModel serves. The other road, PyTorch's exporter
over the Hugging Face model, needs PyTorch, cannot hold all that this package trains, and its files were slower: they
compute the last layer everywhere, where this network computes it at the places the head reads, and query, key and value
by three products instead of one.

``input_ids``, ``input_mask`` and ``segment_ids`` are int32 (batch, length); the outputs are float32 and are called as
in ``network.network_of``.
"""

from __future__ import annotations

import importlib
import logging
import os
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from albert_zh.export.network import network_of
from albert_zh.files import InputError, atomic_writer
from albert_zh.opened import OpenModel
from albert_zh.serve.network import INPUTS

FILE = "model.onnx"
#: Version of ONNX's operations: every ONNX Runtime from 1.12 (July 2022) on runs them, on phones too.
OPSET = 17

Run = Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]


def write(opened: OpenModel, folder: str | os.PathLike[str], options: Any = None) -> None:
    """Adds ``model.onnx`` to a folder that is being filled.

    Raises:
        InputError: tf2onnx is not installed, or the folder cannot be written.
    """
    tf2onnx = _package("tf2onnx")
    specs = [tf.TensorSpec((None, None), tf.int32, name=name) for name in INPUTS]
    network = network_of(opened)

    @tf.function(input_signature=specs, autograph=False)
    def answer(input_ids, input_mask, segment_ids):
        return network(dict(zip(INPUTS, (input_ids, input_mask, segment_ids), strict=True)))

    logging.getLogger("tf2onnx").setLevel(logging.ERROR)  # it tells each step
    model, _ = tf2onnx.convert.from_function(answer, input_signature=specs, opset=OPSET)
    shapes = {name: output.shape for name, output in answer.get_concrete_function().structured_outputs.items()}
    for value in (*model.graph.input, *model.graph.output):
        _name_dimensions(value, shapes.get(value.name, (None, None)))
    with atomic_writer(Path(folder) / FILE, "wb") as stream:
        stream.write(model.SerializeToString())


def _name_dimensions(value: Any, shape: tuple[int | None, ...]) -> None:
    """Says of an input or output which dimensions are of any size, and that all of one name are the same."""
    dimensions = value.type.tensor_type.shape
    del dimensions.dim[:]
    for name, size in zip(("batch", "length", ""), shape, strict=False):
        if size is None:
            dimensions.dim.add().dim_param = name
        else:
            dimensions.dim.add().dim_value = size


def load(folder: str | os.PathLike[str], threads: int = 0) -> Run:
    """A function of ``INPUTS`` by name that gives the outputs by name, run by ONNX Runtime.

    Args:
        folder: that holds ``model.onnx``.
        threads: to compute with; 0: as many as ONNX Runtime takes.

    Raises:
        InputError: onnxruntime is not installed, or the file is missing or damaged.
    """
    runtime, file = _package("onnxruntime"), Path(folder) / FILE
    if not file.is_file():
        raise InputError(f"{file}: no such file. Give the folder of an ONNX export.")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    try:
        session = runtime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors share no base class but this one
        raise InputError(f"{file}: ONNX Runtime cannot read it ({error}). Export the model again.") from error
    names = [output.name for output in session.get_outputs()]

    def run(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return dict(zip(names, session.run(names, {name: inputs[name] for name in INPUTS}), strict=True))

    return run


def _package(name: str) -> types.ModuleType:
    """A package of the extra ``onnx``. Raises InputError where it is missing."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise InputError(
            f"--to=onnx needs the package {name}, which cannot be imported ({error}). Install it with: "
            "pip install -e '.[onnx]'"
        ) from error
