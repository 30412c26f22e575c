"""Writes a model for another runtime, asks both the same sentences, and only then leaves the files there."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from albert_zh import layouts
from albert_zh.export import agreement, card, description, vectors
from albert_zh.export.options import ExportOptions
from albert_zh.export.sentences import sequences
from albert_zh.export.targets import TARGETS
from albert_zh.files import InputError, atomic_folder
from albert_zh.opened import OpenModel, open_model


def run(options: ExportOptions) -> Path:
    """Exports one model and says how large it is and how far it is from the Keras model.

    Returns:
        The folder written: the files of the target, vocabulary, ``model.json``, ``tokenizer_vectors.json`` and a model
        card.

    Raises:
        InputError: no such model, a target that cannot hold it, a runtime that is not installed, or a file that
            answers otherwise than the model; then nothing is left.
    """
    folder, target = Path(options.output_dir), TARGETS[options.to]
    _check_replaceable(folder, options)
    opened = open_model(options.model)
    layouts.check_place(folder, opened.source.folder)
    asked = sequences(opened, options, options.rows)
    print(f"{opened.where} -> {options.to}{_how(options)}", flush=True)
    with atomic_folder(folder) as temporary:
        target.write(opened, temporary, options)
        if not target.has_vocabulary:
            layouts.write_vocabulary(opened.tokenizer.path, temporary)
        loaded = target.load(temporary)
        found = agreement.compare(opened, loaded, asked, target.limits[options.quantize])
        if reader := getattr(loaded, "reader", ""):
            found = dataclasses.replace(found, notes=(*found.notes, f"Read and run by {reader}."))
        vectors.write(opened.tokenizer, temporary)
        description.write(opened, temporary, options)
        card.write(opened, temporary, options, found)
        sizes = _sizes(temporary)
    _say(folder, opened, found, sizes)
    return folder


def _check_replaceable(folder: Path, options: ExportOptions) -> None:
    """Raises InputError where a folder holds what no export has written, or an export that is not to be replaced."""
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    others = description.others(folder)
    if others:
        raise InputError(
            f"--output_dir={folder}: holds other files than an export ({', '.join(others[:3])}"
            f"{' …' if len(others) > 3 else ''}). Name a new folder."
        )
    if not options.overwrite:
        raise InputError(f"--output_dir={folder}: holds an export. Name another, or replace it with --overwrite=true.")


def _how(options: ExportOptions) -> str:
    if options.to != "litert":
        return ""
    weights = {"none": "float32", "int8": "int8 throughout"}.get(options.quantize, options.quantize)
    return f", {weights}, " + (f"{options.length} tokens" if options.length else "any length")


def _sizes(folder: Path) -> list[tuple[str, int]]:
    """Files, and folders with all in them, largest first: (name, bytes)."""
    found = [
        (entry.name + "/" * entry.is_dir(), sum(_size(file) for file in [entry, *entry.rglob("*")]))
        for entry in folder.iterdir()
    ]
    return sorted(found, key=lambda each: (-each[1], each[0]))


def _size(path: Path) -> int:
    return os.stat(path).st_size if path.is_file() else 0


def _say(folder: Path, opened: OpenModel, found: agreement.Agreement, sizes: list[tuple[str, int]]) -> None:
    print(f"written: {folder}")
    for name, size in sizes:
        print(f"  {name:<26}{size / 1e6:>8.2f} MB" if size >= 1e5 else f"  {name:<26}{size / 1e3:>8.1f} kB")
    print(
        f"beside the Keras model on {found.rows} {found.of}: largest difference {found.difference:.1e} "
        f"(limit {found.limit:.1e}). {' '.join(found.notes)}"
    )
    if found.same is not None:
        print(f"the same answer: {found.same} of {found.rows} ({found.same / found.rows:.2%})")
    print(f"next: read {folder}/{card.CARD_FILE}")
