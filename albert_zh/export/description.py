"""``model.json``: what a program must know to use an exported file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from albert_zh.export.card import CARD_FILE
from albert_zh.export.options import ExportOptions
from albert_zh.files import read_json, sha256, write_json
from albert_zh.opened import OpenModel
from albert_zh.serve.network import INPUTS

FILE = "model.json"


def write(opened: OpenModel, folder: Path, options: ExportOptions) -> None:
    """Writes ``model.json`` into a folder that holds the exported files; see ``description``."""
    write_json(Path(folder) / FILE, description(opened, Path(folder), options))


def description(opened: OpenModel, folder: Path, options: ExportOptions) -> dict[str, Any]:
    """What a program must know, for JSON.

    Returns:
        ``format``, ``quantize``; ``signature``, ``inputs`` with their shapes, -1 for any size (B, L); ``dynamic``:
        whether L is any; ``max_seq_length``: the longest sequence, or the one length; ``task``, ``kind``, ``labels``
        and ``label_names`` in the order of the logits; ``settings`` of the task;
        ``transitions``, ``first`` and ``last`` of a CRF; ``tokenizer``, ``lower_case``, ``special_ids``; ``files``: the
        size in bytes and SHA-256 of each.
    """
    task, tokenizer = opened.task, opened.tokenizer
    batch = 1 if options.to == "litert" else -1
    shape = [batch, options.length or -1]
    longest = options.length or (opened.max_seq_length if task else opened.source.config.max_position_embeddings)
    about: dict[str, Any] = {
        "format": options.to,
        "quantize": options.quantize,
        "signature": "serving_default",
        "inputs": {name: {"dtype": "int32", "shape": shape} for name in INPUTS},
        "dynamic": options.length is None,
        "max_seq_length": longest,
        "task": task.name if task else None,
        "kind": task.kind if task else "pretrained",
        "labels": list(task.labels) if task else [],
        "label_names": list(opened.label_names),
        "settings": task.settings if task else {},
        "tokenizer": tokenizer.kind,
        "lower_case": tokenizer.lower_case,
        "special_ids": {name: getattr(tokenizer, f"{name}_id") for name in ("pad", "unk", "cls", "sep", "mask")},
    }
    if task and task.head.kind == "crf":
        about |= {name: value.tolist() for name, value in opened.model.decoding_weights().items()}
    if prompt := opened.about.get("prompt"):
        about["prompt"] = prompt
    about["files"] = {
        name: {"bytes": (folder / name).stat().st_size, "sha256": sha256(folder / name)} for name in _files(folder)
    }
    return about


def others(folder: Path) -> list[str]:
    """The files of a folder that no export has put there: all of them where it holds none."""
    about = read_json(folder / FILE) if (folder / FILE).is_file() else {}
    own = {*about.get("files", ()), FILE, CARD_FILE} if isinstance(about, dict) and "format" in about else set()
    return [name for name in _files(folder) if name not in own]


def _files(folder: Path) -> list[str]:
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
