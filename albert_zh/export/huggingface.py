"""A folder that transformers opens with its Auto classes: weights, config with label names, tokenizer.

A classifier, a regression and one choice of several become ``AlbertForSequenceClassification`` (the last also opens as
``AlbertForMultipleChoice``), tagging ``AlbertForTokenClassification``, reading comprehension
``AlbertForQuestionAnswering``, a pretrained model ``AlbertForPreTraining``, ``AlbertForMaskedLM`` or ``AlbertModel``,
as its heads are. A brightmart model is written as the google model that computes the same, where there is one. How the
tokenizer's ids differ from this project's in rare characters is told in ``text.huggingface``.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from albert_zh import layouts, pretrained
from albert_zh.convert.families import as_family
from albert_zh.convert.weights import heads_in, variable_names
from albert_zh.export.network import network_of
from albert_zh.files import InputError, read_json
from albert_zh.models.heads import AlbertForCloze
from albert_zh.models.token_heads import PADDING_SCORE
from albert_zh.opened import OpenModel, open_model
from albert_zh.serve.network import INPUTS

Run = Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]
#: Classes without a fine-tuned head, and which of their outputs are the masked-LM scores.
_HEADLESS = {"AlbertForPreTraining": "prediction_logits", "AlbertForMaskedLM": "logits", "AlbertModel": ""}


def write(opened: OpenModel, folder: str | os.PathLike[str], options: Any = None) -> None:
    """Adds ``model.safetensors``, ``config.json`` and the tokenizer's files to a folder that is being filled.

    Raises:
        InputError: Hugging Face's network cannot be this one, or has no class for its head: a CRF, a cloze.
    """
    if isinstance(opened.model, AlbertForCloze):
        raise InputError(
            f"{opened.where}: answers with words in a blank, and Hugging Face has no class that scores labels so. "
            "Export it as savedmodel, onnx or litert; its network alone is written by convert --to=huggingface."
        )
    layouts.LAYOUTS["huggingface"].check_heads("huggingface", variable_names(opened.model))
    absent = variable_names(opened.model).keys() - opened.source.shapes.keys()  # heads the source lacks
    model = as_family(opened.model, "google")
    companions = layouts.Companions(
        vocabulary=opened.tokenizer.path, lower_case=opened.tokenizer.lower_case, label_names=opened.label_names
    )
    names = variable_names(model).keys() - absent
    layouts.write_model(model, folder, companions, layout="huggingface", names=names)


def load(folder: str | os.PathLike[str]) -> Run:
    """A function of ``INPUTS`` by name that gives the outputs by name; ``load(…).reader`` says what runs it.

    That is transformers, where it and PyTorch are installed, else this package reading the folder back.

    Raises:
        InputError: the folder is none of a model.
    """
    if all(importlib.util.find_spec(name) for name in ("torch", "transformers")):
        return _with_transformers(Path(folder))
    return _with_own_reader(Path(folder))


def _with_own_reader(folder: Path) -> Run:
    opened = open_model(folder)
    fine_tuned = _architecture(folder) not in _HEADLESS
    network = network_of(opened)

    def run(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        given = {name: inputs[name] for name in INPUTS}
        outputs = {"logits": opened.model(given, heads_only=True)["logits"]} if fine_tuned else network(given)
        return {name: keras.ops.convert_to_numpy(value) for name, value in outputs.items()}

    run.reader = "albert_zh (transformers and PyTorch are not installed)"
    return run


def _with_transformers(folder: Path) -> Run:
    torch, transformers = importlib.import_module("torch"), importlib.import_module("transformers")
    transformers.logging.set_verbosity_error()  # it reports heads that a class has no use for
    transformers.logging.disable_progress_bar()
    architecture = _architecture(folder)

    def opened(name: str) -> Any:
        return getattr(transformers, name).from_pretrained(folder, local_files_only=True).eval()

    model = opened(architecture)
    encoder = opened("AlbertModel") if architecture in _HEADLESS else None
    pools = "pooler" in heads_in(pretrained.find(folder).shapes)

    def run(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        tensors = [torch.tensor(np.asarray(inputs[name], np.int64)) for name in INPUTS]
        named = dict(zip(("input_ids", "attention_mask", "token_type_ids"), tensors, strict=True))
        with torch.no_grad():
            outputs = model(**named)
            if encoder is None:
                return {"logits": _logits(outputs, inputs["input_mask"])}
            encoded = encoder(**named)
        found = {"sequence_output": encoded.last_hidden_state.numpy()}
        if pools:
            found["pooled_output"] = encoded.pooler_output.numpy()
        if scores := _HEADLESS[architecture]:
            found["mlm_logits"] = outputs[scores].numpy()
        return found

    run.reader = f"transformers {transformers.__version__}"
    return run


def _architecture(folder: Path) -> str:
    return read_json(folder / "config.json")["architectures"][0]


def _logits(outputs: Any, mask: np.ndarray) -> np.ndarray:
    """The logits of a head as this package's model gives them."""
    if "start_logits" not in outputs:
        return outputs.logits.numpy()
    logits = np.stack([outputs.start_logits.numpy(), outputs.end_logits.numpy()], axis=-1)
    return logits + np.float32(PADDING_SCORE) * (1 - np.asarray(mask, np.float32))[:, :, None]
