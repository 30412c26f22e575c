"""The model card of an export: what it is, what made it, how well it does, what it may be used for."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from albert_zh.export.agreement import Agreement
from albert_zh.export.known import UNKNOWN, Score, catalogued, kept, licence_of, scores_of
from albert_zh.export.options import ExportOptions
from albert_zh.files import atomic_writer
from albert_zh.hub.catalog import DATASETS
from albert_zh.opened import OpenModel
from albert_zh.tasks.glue import GLUE

CARD_FILE = "README.md"
_METRICS_FILE, _RUN_FILE, _PRETRAINING_SCORES = "metrics.json", "run.json", "eval_results.json"
#: Kind of task or head: what Hugging Face's hub calls it, and how a reader does, in English and in Chinese.
_KINDS = {
    "single": ("text-classification", "one text in, a label or a number out", "单句"),
    "pair": ("text-classification", "two texts in, a label or a number out", "句对"),
    "winograd": ("text-classification", "a text with two marked words in, whether they mean the same out", "指代"),
    "choice": ("multiple-choice", "a text and several candidates in, the best of them out", "多选"),
    "span": ("question-answering", "a question and a passage in, a piece of the passage out", "阅读理解"),
    "tagging": ("token-classification", "a text in, its named pieces out", "实体抽取"),
    "": ("fill-mask", "text in, hidden states and words for [MASK] out", "预训练模型"),
}
#: Folders' suffixes and names that are one file of an export each; what the card says of them.
_SAYS = {
    ".tflite": "the network, for LiteRT",
    ".onnx": "the network, for ONNX Runtime",
    ".safetensors": "the weights",
    ".pb": "the network, for TensorFlow Serving",
    "vocab.txt": "one token a line; its line number from 0 is its id",
    "model.json": "signature, labels, length, lower-casing",
    "task.json": "task, labels, length, lower-casing",
    "config.json": "the network's shape",
    "tokenizer.json": "the tokenizer, for Hugging Face",
    "tokenizer_config.json": "the tokenizer's options, for Hugging Face",
    "albert_config.json": "the network's shape",
    "tokenizer_vectors.json": "texts with their ids, to check a tokenizer written anew",
}
#: What a kind of file is used by; ``ids``, ``mask`` and ``segments`` are explained below the code.
_USES = (
    (
        "*.tflite",
        "from ai_edge_litert.interpreter import Interpreter\n"
        'runner = Interpreter("{file}").get_signature_runner("serving_default")\n'
        "outputs = runner(input_ids=ids, input_mask=mask, segment_ids=segments)",
    ),
    (
        "*.onnx",
        "import onnxruntime\n"
        'session = onnxruntime.InferenceSession("{file}")\n'
        'outputs = session.run(None, {{"input_ids": ids, "input_mask": mask, "segment_ids": segments}})',
    ),
    (
        "saved_model.pb",
        "import tensorflow as tf\n"
        'run = tf.saved_model.load("{parent}").signatures["serving_default"]\n'
        "outputs = run(input_ids=tf.constant(ids), input_mask=tf.constant(mask), segment_ids=tf.constant(segments))",
    ),
    (
        "*.safetensors",
        "from transformers import {architecture}, AutoTokenizer\n"
        'model, tokenizer = {architecture}.from_pretrained("{parent}"), AutoTokenizer.from_pretrained("{parent}")\n'
        'outputs = model(**tokenizer({texts}, return_tensors="pt"))',
    ),
)
_RECIPE = {
    "learning_rate": "learning rate (peak)",
    "train_batch_size": "rows a step",
    "num_train_epochs": "epochs",
    "num_train_steps": "steps",
    "max_seq_length": "length of training (tokens)",
    "warmup_proportion": "warm-up (share of the steps)",
    "num_warmup_steps": "warm-up (steps)",
    "optimizer": "optimizer",
    "precision": "precision",
    "random_seed": "seed",
    "few_shot": "training rows of each label",
    "records": "training instances",
}


def write(opened: OpenModel, folder: Path, options: ExportOptions, agreement: Agreement | None = None) -> Path:
    """Writes ``README.md`` into a folder that holds all else of an export, and returns its path.

    No path of this machine and no row of anybody's data goes into it.

    Args:
        opened: the model that was exported.
        folder: the export; its files are listed with their sizes.
        options: of the export.
        agreement: the comparison with the Keras model; None: none was made, which the card says.
    """
    path = Path(folder) / CARD_FILE
    with atomic_writer(path) as stream:
        stream.write(text_of(opened, Path(folder), options, agreement))
    return path


def text_of(opened: OpenModel, folder: Path, options: ExportOptions, agreement: Agreement | None) -> str:
    """The card, Markdown under the YAML head that Hugging Face's hub reads."""
    beside = {name: kept(opened.source.folder / name) for name in (_METRICS_FILE, _RUN_FILE, _PRETRAINING_SCORES)}
    metrics = beside[_METRICS_FILE] if opened.task else {}
    settings = metrics.get("settings", {}) if opened.task else beside[_RUN_FILE]
    scores = scores_of(opened.task, metrics) if opened.task else []
    parts = [
        _head(opened, settings, scores),
        f"# {_title(opened)}\n",
        _warning(scores),
        _summary(opened, options, scores, agreement),
        _about(opened, options),
        _score_part(opened, scores, metrics, beside[_PRETRAINING_SCORES]),
        _agreement_part(agreement),
        _data_part(opened, metrics, settings),
        _recipe_part(metrics, settings, beside[_RUN_FILE]),
        _licence_part(opened, settings),
        _files_part(folder),
        _use_part(opened, folder),
        _limits_part(opened),
    ]
    return "\n".join(part for part in parts if part)


# ---------------------------------------------------------------------------------------------------------------------
# The card's parts


def _head(opened: OpenModel, settings: Mapping[str, Any], scores: Sequence[Score]) -> str:
    """YAML; its strings are written as JSON, which YAML reads."""
    tag = _KINDS[_kind(opened)][0]
    lines = ["---", f"language: {_language(opened)}"]
    licence = licence_of(opened, settings)
    if not opened.task and licence.startswith("Apache-2.0"):
        lines.append("license: apache-2.0")
    lines += [f"pipeline_tag: {tag}", "tags:", *(f"- {name}" for name in ("albert", "albert-zh", tag))]
    if scores:
        lines += ["metrics:", f"- {scores[0].metric}"]
        lines += ["model-index:", f"- name: {json.dumps(_title(opened))}", "  results:"]
        for score in scores:
            lines += [
                "  - task:",
                f"      type: {tag}",
                "    dataset:",
                f"      name: {json.dumps(opened.task.name)}",
                f"      type: {json.dumps(opened.task.name)}",
                f"      split: {json.dumps(score.split)}",
                "    metrics:",
                f"    - type: {score.metric}",
                f"      value: {score.value:.6g}",
            ]
    return "\n".join([*lines, "---", ""])


def _kind(opened: OpenModel) -> str:
    return opened.task.kind if opened.task else ""


def _language(opened: OpenModel) -> str:
    """Of the data where they say so, else of the tokenizer: SentencePiece models are the English ones'."""
    if opened.task and ("English" in opened.task.about or opened.task.name in {task.name for task in GLUE}):
        return "en"
    return "zh" if opened.tokenizer.has_basic_tokens else "en"


def _title(opened: OpenModel) -> str:
    config = opened.source.config
    shape = f"ALBERT ({config.family}), {config.num_hidden_layers} layers of {config.hidden_size}"
    return f"{shape}, fine-tuned on {opened.task.name}" if opened.task else f"{shape}, pretrained"


def _warning(scores: Sequence[Score]) -> str:
    said = {"below": "at or below", "unsure": "not clearly above"}
    poor = [score for score in scores if score.level in said]
    if not poor:
        return ""
    lines = [
        f"> **This model is {said[score.level]} a rule without a model**: {score.split} {score.metric} {score.shown}"
        f"{f' ({score.interval})' if score.interval else ''} beside {_listed(score.baselines)}."
        for score in poor
    ]
    lines.append("> **注意：此模型的得分不明显高于无需模型的简单规则，请勿当作可用的模型。**")
    return "\n>\n".join(lines) + "\n"


def _summary(opened: OpenModel, options: ExportOptions, scores: Sequence[Score], agreement: Agreement | None) -> str:
    config = opened.source.config
    task = f"在 {opened.task.name}（{_KINDS[_kind(opened)][2]}）上微调" if opened.task else "预训练，未针对任务微调"
    said = [
        f"中文摘要：ALBERT（{config.family} 版，{config.num_hidden_layers} 层，隐层 {config.hidden_size}），{task}，"
        f"导出为 {_target(options).replace(', weights', '，权重')}；最长 {_length(opened, options)} 个词元。"
    ]
    for score in scores:
        beside = f"，简单规则 {_listed(score.baselines, '、')}" if score.baselines else ""
        interval = f"（95% 区间 {score.interval.replace(' to ', ' 至 ')}）" if score.interval else ""
        said.append(f"{score.split} {score.metric} {score.shown}{interval}{beside}。")
    if agreement and agreement.same is not None:
        said.append(f"与 Keras 模型在 {agreement.rows} 条上比较，答案相同 {agreement.same} 条。")
    said.append("许可、数据与用途限制见下文。")
    return "".join(said) + "\n"


def _about(opened: OpenModel, options: ExportOptions) -> str:
    lines = ["## What it is\n"]
    if opened.task:
        about = f" {opened.task.about}" if opened.task.about else ""
        lines.append(f"- Task: `{opened.task.name}`, {_KINDS[_kind(opened)][1]}.{about}")
        if opened.task.labels and len(opened.task.labels) <= 200:
            pairs = zip(opened.task.labels, opened.label_names, strict=True)
            named = (f"{label} = {name}" if label != name else label for label, name in pairs)
            lines.append(f"- Labels, in the order of the outputs: {', '.join(named)}")
    else:
        lines.append(f"- A pretrained model: {_KINDS[''][1]}. It answers no task before it is fine-tuned.")
    config = opened.source.config
    lines += [
        f"- Network: ALBERT of the {config.family} family, {config.num_hidden_layers} layers, hidden size "
        f"{config.hidden_size}, {config.num_attention_heads} heads, {config.vocab_size:,} tokens, "
        f"{opened.model.count_params():,} weights.",
        f"- Text: {'lower-cased, accents removed' if opened.tokenizer.lower_case else 'case kept'}; at most "
        f"{_length(opened, options)} tokens, the special ones counted{_cut(opened)}.",
        f"- Exported as: {_target(options)}.",
    ]
    return "\n".join(lines) + "\n"


def _cut(opened: OpenModel) -> str:
    """What happens to longer text, for the kinds of task that cut it; others read it in windows or refuse it."""
    if _kind(opened) not in ("single", "pair"):
        return ""
    return "; what is longer is cut at the end" + (", the longer text first" if _kind(opened) == "pair" else "")


def _target(options: ExportOptions) -> str:
    return f"{options.to}, weights {options.quantize}" if options.quantize != "none" else options.to


def _length(opened: OpenModel, options: ExportOptions) -> int:
    return options.length or opened.max_seq_length


def _score_part(
    opened: OpenModel, scores: Sequence[Score], metrics: Mapping[str, Any], pretraining: Mapping[str, Any]
) -> str:
    lines = ["## Scores\n"]
    if scores:
        names = list(dict.fromkeys(name for score in scores for name in score.baselines))
        others = list(dict.fromkeys(name for score in scores for name in score.others))
        head = ["rows of", "number", scores[0].metric, "95% interval", *others, *(f"rule: {name}" for name in names)]
        lines += [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
        for score in scores:
            cells = [score.split, f"{score.rows:,}", score.shown, score.interval or "–"]
            cells += [score.others.get(name, "–") for name in others]
            cells += [score.baselines.get(name, "–") for name in names]
            lines.append(f"| {' | '.join(cells)} |")
        lines.append(
            "\nThe rules need no model. The best weights and rate were chosen on dev, which flatters its score. "
            "The scores are the Keras model's; how far this export answers alike stands below."
        )
        if (seeds := metrics.get("seeds", {})).get("runs", 0) > 1:
            mean, deviation = (opened.task.shown(seeds[name]) for name in ("mean", "deviation"))
            lines.append(f"Over {seeds['runs']} seeds dev was {mean} on average, standard deviation {deviation}.")
    elif pretraining and not opened.task:
        lines.append("On the pretraining records held out:\n")
        lines += [f"- {name}: {value:.4f}" for name, value in pretraining.items() if isinstance(value, float)]
    else:
        lines.append("None is known: no scores lie beside the weights.")
    return "\n".join(lines) + "\n"


def _agreement_part(agreement: Agreement | None) -> str:
    lines = ["## Agreement with the Keras model\n"]
    if agreement is None:
        lines.append("Not compared.")
    else:
        same = "" if agreement.same is None else f", the same answer on {agreement.same} of {agreement.rows}"
        lines.append(
            f"On {agreement.rows} {agreement.of} the outputs differ by {agreement.difference:.2g} at most "
            f"(allowed: {agreement.limit:.2g}){same}."
        )
        lines += list(agreement.notes)
    return "\n".join(lines) + "\n"


def _data_part(opened: OpenModel, metrics: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    lines = ["## Data\n"]
    if opened.task:
        hashes = {"train": settings.get("train_sha256"), **metrics.get("scored", {})}
        hashes.setdefault("dev", settings.get("dev_sha256"))
        lines += [f"- {opened.task.name}, {split} file: SHA-256 `{value}`" for split, value in hashes.items() if value]
        lines += [] if any(hashes.values()) else ["- not recorded"]
    else:
        names = ", ".join(f"`{_file_name(name)}`" for name in settings.get("input_file", ()))
        lines.append(f"- pretraining records: {names or 'not recorded'}")
    if start := settings.get("init_checkpoint"):
        known = f", SHA-256 `{settings['init_sha256']}`" if settings.get("init_sha256") else ""
        lines.append(f"- began from: `{catalogued(opened, settings) or _file_name(start)}`{known}")
    elif settings:
        lines.append("- began from: random weights")
    lines.append(f"- vocabulary: SHA-256 `{opened.tokenizer.fingerprint}`")
    return "\n".join(lines) + "\n"


def _file_name(path: str) -> str:
    """The last part of a path of either kind of system: what lies above it is nobody's business."""
    return re.split(r"[/\\]", str(path).rstrip("/\\"))[-1]


def _recipe_part(metrics: Mapping[str, Any], settings: Mapping[str, Any], run: Mapping[str, Any]) -> str:
    lines = ["## Recipe\n"]
    lines += [f"- {said}: {settings[name]}" for name, said in _RECIPE.items() if settings.get(name) not in (None, "")]
    if metrics.get("best_step"):
        lines.append(f"- weights of step {metrics['best_step']} of {metrics.get('steps', UNKNOWN)}, the best on dev")
    if len(trials := metrics.get("trials", ())) > 1:
        rates = sorted({trial["rate"] for trial in trials if "rate" in trial})
        lines.append(f"- the best of {len(trials)} runs, rates {', '.join(f'{rate:g}' for rate in rates)}")
    if settings.get("prompt"):
        lines.append("- asked as a cloze: the masked-LM head fills the blank of a template")
    return "\n".join(lines if len(lines) > 1 else [*lines, "Not recorded."]) + "\n"


def _licence_part(opened: OpenModel, settings: Mapping[str, Any]) -> str:
    """What is known, for the weights and for the data they learned from."""
    lines = ["## Licence, as far as known\n"]
    name = catalogued(opened, settings)
    whose = "pretrained weights it began from" if opened.task else "weights"
    lines.append(f"- {whose}{f' (`{name}`)' if name else ''}: {licence_of(opened, settings)}")
    if opened.task:
        data = DATASETS.get(opened.task.name)
        lines.append(f"- data of {opened.task.name}: {data.licence if data else UNKNOWN}")
        lines.append(
            "\nWhat may be done with weights learned from data depends on both. Unknown is not free: ask their owners."
        )
    return "\n".join(lines) + "\n"


def _files_part(folder: Path) -> str:
    lines = ["## Files\n", "| file | bytes | |", "|---|---|---|"]
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name != CARD_FILE and not path.name.startswith("."):
            says = _SAYS.get(path.name) or _SAYS.get(path.suffix, "")
            lines.append(f"| `{name}` | {path.stat().st_size:,} | {says} |")
    return "\n".join(lines) + "\n"


def _use_part(opened: OpenModel, folder: Path) -> str:
    """Three lines of code for each kind of file that is there."""
    found = [(path, code) for pattern, code in _USES for path in sorted(folder.rglob(pattern))]
    if not found:
        return ""
    lines = ["## How to use it\n"]
    texts = '"一段文本", "另一段文本"' if _kind(opened) in ("pair", "span") else '"一段文本"'
    for path, code in found:
        names = {"file": path.relative_to(folder).as_posix(), "parent": path.parent.relative_to(folder).as_posix()}
        architectures = kept(path.with_name("config.json")).get("architectures", ["AlbertModel"])
        lines += ["```python", code.format(**names, architecture=architectures[0], texts=texts), "```", ""]
    if not any("AutoTokenizer" in code for _, code in found):
        lines.append(
            "`ids`, `mask` and `segments` are int32 arrays (1, L): `[CLS] A [SEP]` or `[CLS] A [SEP] B [SEP]` by the "
            "vocabulary beside; 1 for every token; 0 up to the first `[SEP]` and 1 after it. albert_zh's `docs/mobile` "
            "has a tokenizer in under 100 lines of Python or Java, which `tokenizer_vectors.json` checks."
        )
    return "\n".join(lines) + "\n"


def _limits_part(opened: OpenModel) -> str:
    what = (
        f"Texts of the kind that `{opened.task.name}` holds, in that language and of that length."
        if opened.task
        else "To be fine-tuned, and to fill blanks."
    )
    return "\n".join(
        [
            "## Intended use and limits\n",
            f"- Meant for: {what}",
            f"- Not for sequences of more than {opened.max_seq_length} tokens"
            f"{': the rest is not read' if _cut(opened) else ''}.",
            "- Not tested: other domains than that of its data, other languages and dialects, traditional characters "
            "where its data are in simplified ones, spelling mistakes, texts written to deceive it.",
            "- Probabilities are the softmax of the outputs and were not calibrated.",
            "- It learned what its data say, their prejudices too. Let no such answer alone decide on people.",
            "",
        ]
    )


def _listed(baselines: Mapping[str, str], between: str = ", ") -> str:
    return between.join(f"{name} {value}" for name, value in baselines.items())
