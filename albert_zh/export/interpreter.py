"""LiteRT's interpreter of a file; no TensorFlow, so that what is timed and measured is LiteRT alone."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from albert_zh.files import InputError, first_line

FILE = "model.tflite"
SIGNATURE, FILL_MASK = "serving_default", "fill_mask"


def runtime() -> Any:
    """LiteRT's module. Raises InputError where it is not installed."""
    try:
        return importlib.import_module("ai_edge_litert.interpreter")
    except ImportError as error:
        raise InputError(f"LiteRT cannot be imported ({error}). Install it: pip install -e '.[litert]'") from error


def open_file(file: Path, threads: int = 1) -> Any:
    """The interpreter of a file. Raises InputError where it is missing, damaged, or none of this project's."""
    if not file.is_file():
        raise InputError(f"{file}: no such file. Give {FILE}, or the folder that export wrote.")
    try:
        found = runtime().Interpreter(model_path=str(file), num_threads=threads)
    except ValueError as error:
        raise InputError(f"{file}: LiteRT cannot read it ({first_line(error)}). Export the model again.") from error
    if SIGNATURE not in found.get_signature_list():
        raise InputError(f"{file}: has no signature {SIGNATURE}. Give a file that albert-zh export wrote.")
    return found
