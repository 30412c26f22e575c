"""A model of any layout into another layout: write, read again, run both, compare, and only then leave it there."""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from albert_zh import layouts, pretrained
from albert_zh.convert import keras_file, savedmodel, tensorflow2
from albert_zh.convert.families import as_family
from albert_zh.convert.families import refusal as family_refusal
from albert_zh.convert.loading import LoadReport
from albert_zh.convert.options import ConvertOptions
from albert_zh.convert.precision import full_float32
from albert_zh.convert.weights import arrays_of, heads_in, variable_names
from albert_zh.files import InputError, atomic_folder
from albert_zh.models.heads import AlbertForPretraining

#: Largest difference of hidden states and of the heads' probabilities between source and target.
LIMIT = 1e-5
_ROWS, _LENGTH, _PREDICTIONS = 2, 48, 4


def run(options: ConvertOptions) -> Path:
    """Converts one model and says what was loaded, written, left out, and how far the two differ.

    Returns:
        The folder written.

    Raises:
        InputError: the source cannot be used, the target cannot hold the model (the reason is given), or what was
            written computes other numbers; then nothing is left.
    """
    folder, checkpoint = _target(options)
    source = pretrained.find(options.source, options.bert_config_file or None)
    _check_target(folder, source, options)
    family = _family(options, source)
    model, report = pretrained.load(source, bare=True)
    print(report, flush=True)
    converted = as_family(model, family)
    if converted is not model:
        print(_family_note(model, converted), flush=True)
    names = set(variable_names(converted)) - set(report.missing)
    companions = _companions(options, source, checkpoint)
    with atomic_folder(folder) as temporary:
        layouts.write_model(converted, temporary, companions, layout=options.to, names=names)
        task = source.folder / pretrained.TASK_FILE
        if task.is_file():
            shutil.copyfile(task, temporary / pretrained.TASK_FILE)
        written = pretrained.find(temporary)
        _check_arrays(converted, written, names, folder)
        with full_float32():
            verdict = _compare(model, written, options, names)
        if not verdict.good:
            raise InputError(
                f"{folder}: not written: read again, it is not {source.where}: {verdict}. This is a fault of this "
                "project or of the machine; please report it."
            )
        files = sorted(path.name for path in temporary.iterdir())
    print(f"written: {folder} ({', '.join(files)})")
    for line in _left_out(report, converted, names, options, companions, task.is_file()):
        print(f"  {line}")
    print(verdict)
    return folder


def _target(options: ConvertOptions) -> tuple[Path, str]:
    """(folder to write, name of a tf2 checkpoint): old command lines name a file in it."""
    target = Path(options.target)
    if options.to == "tf2" and ".ckpt" in target.name:
        return target.parent, target.name
    if options.to == "huggingface" and target.suffix in (".bin", ".pt", ".safetensors"):
        if target.suffix != ".safetensors":
            print(f"note: the weights are written as {target.with_name('model.safetensors')}, which PyTorch reads too")
        return target.parent, tensorflow2.CHECKPOINT
    return target, tensorflow2.CHECKPOINT


def _check_target(folder: Path, source: pretrained.Source, options: ConvertOptions) -> None:
    """Raises InputError where writing would take something away, or cannot be done."""
    layouts.check_place(folder, source.folder)
    layouts.check_replaceable(folder)
    if folder.is_dir() and any(folder.iterdir()) and not options.overwrite:
        raise InputError(f"{folder}: holds a model already. Name another folder, or replace it with --overwrite=true.")


def _check_arrays(model: keras.Model, written: pretrained.Source, names: set[str], folder: Path) -> None:
    """Raises InputError unless the arrays read from what was written for ``folder`` are, bit for bit, the model's."""
    held = written.stored.read([name for name in written.shapes if name in names])
    for name, array in arrays_of(model, names).items():
        if name not in held or not np.array_equal(held[name], array):
            raise InputError(
                f"{folder}: not written: {name} read again is not what was to be written. This is a fault of this "
                "project or of the machine; please report it."
            )


def _family(options: ConvertOptions, source: pretrained.Source) -> str:
    """The family to write, after whatever can be refused before the weights are read."""
    layouts.LAYOUTS[options.to].check_heads(options.to, source.shapes)
    held = layouts.LAYOUTS[options.to].family
    if options.family and held and options.family != held:
        raise InputError(f"--family={options.family}: the layout {options.to} holds the {held} family alone.")
    family = options.family or held or source.config.family
    if reason := family_refusal(source.config, family):
        what = f"{options.to} holds the {family} family alone, and this" if held else f"this {source.config.family}"
        raise InputError(f"{source.where}: {what} model has no equal there: {reason}.")
    if family == source.config.family and (reason := layouts.LAYOUTS[options.to].refusal(source.config)):
        raise InputError(f"{source.where}: {options.to} cannot hold this model: {reason}.")
    return family


def _family_note(model: keras.Model, converted: keras.Model) -> str:
    before, after = (sum(int(np.prod(v.shape)) for v in m.trainable_variables) for m in (model, converted))
    return (
        f"{model.config.family} -> {converted.config.family}: the same network with embedding_size "
        f"{converted.config.embedding_size} instead of {model.config.embedding_size}, "
        f"{4 * before / 1e6:.1f} -> {4 * after / 1e6:.1f} MB"
    )


def _companions(options: ConvertOptions, source: pretrained.Source, checkpoint: str) -> layouts.Companions:
    about = pretrained.about(source)
    vocabulary = None
    if options.spm_model_file or options.vocab_file or source.vocabularies:
        given = {"vocab_file": options.vocab_file, "spm_model_file": options.spm_model_file}
        vocabulary = pretrained.tokenizer_of(source, **given, lower_case=about.lower_case).path
    return layouts.Companions(
        vocabulary=vocabulary,
        lower_case=about.lower_case if options.do_lower_case is None else options.do_lower_case,
        label_names=about.label_names,
        root=options.checkpoint_model_name,
        checkpoint=checkpoint,
    )


def _left_out(
    report: LoadReport,
    model: keras.Model,
    names: set[str],
    options: ConvertOptions,
    companions: layouts.Companions,
    has_task: bool,
) -> list[str]:
    """What a reader of the target will not find there, one line each."""
    lines = []
    if report.slots:
        lines.append(f"not carried over: {report.slots} optimizer slots and counters")
    if report.unused:
        lines.append(f"not carried over ({len(report.unused)}): {', '.join(report.unused)}")
    absent = sorted(set(variable_names(model)) - names)
    if absent:
        fate = "freshly initialised in it" if options.to == "keras" else "not in it"
        lines.append(f"the source lacks the {', the '.join(heads_in(absent))}: {fate}")
    if not companions.lower_case and options.to not in ("huggingface", "savedmodel"):
        lines.append("not in it: that its tokenizer keeps capitals. Use it with --do_lower_case=false")
    if companions.label_names and options.to != "huggingface" and not has_task:
        lines.append(f"not carried over: the names of the classes, {', '.join(companions.label_names)}")
    if companions.vocabulary is None:
        lines.append("no vocabulary is known: none written. Name it with --vocab_file or --spm_model_file")
    return lines


# ---------------------------------------------------------------------------------------------------------------------
# Both on the same batch


@dataclass(frozen=True)
class Verdict:
    """How far a model and what was written of it differ on the same batch.

    Attributes:
        difference: the largest, in float32.
        output: which output it is in.
        rounding: what float32 alone changes in the source's outputs, against float64; looked at only where the
            difference is over ``LIMIT``, as it can be for two runs of one large network.
        exact: the largest difference of the two in float64; likewise.
    """

    difference: float
    output: str
    rounding: float = 0.0
    exact: float = 0.0

    @property
    def good(self) -> bool:
        """Whether the two are the same network: what float32 does not explain is at most ``LIMIT``."""
        return self.exact <= LIMIT and self.difference <= LIMIT + 4 * self.rounding

    def __str__(self) -> str:
        text = f"largest difference on {_ROWS} rows of random tokens: {self.difference:.1e} ({self.output})"
        if self.difference <= LIMIT:
            return f"{text}, limit {LIMIT:.0e}"
        return (
            f"{text}, over the limit of {LIMIT:.0e} in float32, whose rounding alone changes the source's outputs by "
            f"{self.rounding:.1e}; in float64 the two differ by {self.exact:.1e}"
        )


def _compare(model: keras.Model, written: pretrained.Source, options: ConvertOptions, names: set[str]) -> Verdict:
    """Runs a model and what was written: read as this package reads it, and as others do."""
    batch = random_batch(model, options.random_seed)
    outputs = comparable(model, batch, names)
    again, _ = pretrained.load(written, bare=True)
    readers = [comparable(again, batch, names)]
    if options.to == "savedmodel":
        readers.append(_run_savedmodel(written.folder, batch, names))
    if options.to == "keras":
        readers.append(
            comparable(keras.saving.load_model(written.folder / keras_file.FILE, compile=False), batch, names)
        )
    difference, output = max(_largest_difference(outputs, reader) for reader in readers)
    if difference <= LIMIT:
        return Verdict(difference, output)
    precise = comparable(_in_float64(model), batch, names)
    rounding, _ = _largest_difference(precise, outputs)
    exact, _ = _largest_difference(precise, comparable(_in_float64(again), batch, names))
    return Verdict(difference, output, rounding, exact)


def _largest_difference(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> tuple[float, str]:
    """(largest difference, name of the output); what is not a number differs most."""
    found = [(float(np.abs(np.float64(second[name]) - array).max()), name) for name, array in first.items()]
    return max((math.inf if math.isnan(value) else value, name) for value, name in found)


def _in_float64(model: keras.Model) -> keras.Model:
    twin = type(model)(**{**model.get_config(), "dtype": "float64"})
    for mine, its in zip(twin.trainable_variables, model.trainable_variables, strict=True):
        mine.assign(keras.ops.convert_to_numpy(its))
    return twin


def random_batch(model: keras.Model, seed: int) -> dict[str, np.ndarray]:
    """Random token ids, of which the second row ends in padding, two segments, and positions to predict."""
    config, dice = model.config, np.random.default_rng(seed)
    length = min(_LENGTH, config.max_position_embeddings)
    ids = dice.integers(0, config.vocab_size, (_ROWS, length), dtype=np.int32)
    mask = (np.arange(length) < np.array([[length], [max(1, length * 2 // 3)]])).astype(np.int32)
    segments = ((np.arange(length) > length // 2) * mask * (config.type_vocab_size > 1)).astype(np.int32)
    positions = np.sort(dice.integers(0, max(1, length * 2 // 3), (_ROWS, _PREDICTIONS), dtype=np.int32))
    return {"input_ids": ids, "input_mask": mask, "segment_ids": segments, "masked_lm_positions": positions}


def comparable(model: keras.Model, batch: dict[str, np.ndarray], names: set[str]) -> dict[str, np.ndarray]:
    """Hidden states and the probabilities of the heads whose arrays are in ``names``."""
    given = dict(batch)
    if not isinstance(model, AlbertForPretraining):
        del given["masked_lm_positions"]
    return _probabilities({key: np.asarray(value) for key, value in model(given).items()}, names)


def _probabilities(outputs: dict[str, np.ndarray], names: set[str]) -> dict[str, np.ndarray]:
    heads = heads_in(names)
    kept = {"hidden states": outputs["sequence_output"]} if "sequence_output" in outputs else {}
    if "pooler" in heads and "pooled_output" in outputs:
        kept["pooled output"] = outputs["pooled_output"]
    for key, head in (
        ("mlm_logits", "masked-LM head"),
        ("sop_logits", "sentence-order head"),
        ("logits", "classifier"),
        ("logits", "span head"),
        ("logits", "tagging head"),
        ("transitions", "tagging head"),
    ):
        if head in heads and key in outputs and outputs[key].shape[-1] == 1:  # a number, of which all is to be compared
            kept[f"answers of the {head}"] = outputs[key]
        elif head in heads and key in outputs:
            shifted = np.exp(outputs[key] - outputs[key].max(axis=-1, keepdims=True))
            kept[f"probabilities of the {head}"] = shifted / shifted.sum(axis=-1, keepdims=True)
    return kept


def _run_savedmodel(folder: Path, batch: dict[str, np.ndarray], names: set[str]) -> dict[str, np.ndarray]:
    """The same outputs from the SavedModel's own functions."""
    inputs = {theirs: batch[ours] for theirs, ours in savedmodel.INPUTS.items()}
    heads = heads_in(names)
    outputs = savedmodel.run(folder, inputs)
    if heads.keys() & {"masked-LM head", "sentence-order head"}:
        outputs |= savedmodel.run(folder, {**inputs, "masked_lm_positions": batch["masked_lm_positions"]}, "mlm")
    if "classifier" in heads:
        outputs |= savedmodel.run(folder, inputs, "classifier")
    outputs.pop("encoder_outputs", None)
    return _probabilities({key: np.asarray(value) for key, value in outputs.items()}, names)
