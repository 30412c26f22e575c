"""albert_zh: Chinese ALBERT from raw text to a fine-tuned model. The public names, loaded when first used."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

__version__ = "1.0.0"

_PUBLIC = {
    "AlbertConfig": "albert_zh.config",
    "InputError": "albert_zh.files",
    "load_pretrained": "albert_zh.pretrained",
    "save_pretrained": "albert_zh.layouts",
    "load_tokenizer": "albert_zh.text.tokenizer",
    "BertSim": "albert_zh.serve.similarity",
    "Classifier": "albert_zh.serve.classifier",
    "Encoder": "albert_zh.serve.encoder",
    "FillMask": "albert_zh.serve.fill_mask",
    "QuestionAnswerer": "albert_zh.serve.question_answerer",
    "Tagger": "albert_zh.serve.tagger",
    "ZeroShot": "albert_zh.serve.zero_shot",
    "zero_shot": "albert_zh.serve.zero_shot",
}
_WITHOUT_KERAS = ("albert_zh.config", "albert_zh.files", "albert_zh.text.tokenizer")
__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'albert_zh' has no attribute {name!r}")
    if _PUBLIC[name] not in _WITHOUT_KERAS:
        _require_tensorflow()
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def _require_tensorflow() -> None:
    """Raises ImportError when Keras has another backend or is told to; what ``~/.keras/keras.json`` says gives way."""
    keras = sys.modules.get("keras")
    if keras is None and not os.environ.get("KERAS_BACKEND"):
        os.environ["KERAS_BACKEND"] = "tensorflow"
    backend = keras.config.backend() if keras else os.environ["KERAS_BACKEND"]
    if backend != "tensorflow":
        raise ImportError(
            f"Keras is set to run on {backend!r}, but albert_zh runs on TensorFlow. "
            "Set KERAS_BACKEND=tensorflow before keras is first imported."
        )


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
