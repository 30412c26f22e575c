"""albert_zh: Chinese ALBERT from raw text to a fine-tuned model. The public names, loaded when first used."""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "1.0.0"

_PUBLIC = {
    "AlbertConfig": "albert_zh.config",
    "InputError": "albert_zh.files",
    "load_pretrained": "albert_zh.pretrained",
    "save_pretrained": "albert_zh.pretrained",
    "load_tokenizer": "albert_zh.text.tokenizer",
    "Classifier": "albert_zh.serve.predictor",
}
__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'albert_zh' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
