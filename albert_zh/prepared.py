"""``create-finetuning-data``: the features of a task's rows as TFRecords with a JSON about them, and those read back.

The records are those of the TF2 Model Garden's ALBERT (``input_ids input_mask segment_ids`` filled up to one length,
``label_ids``, of questions ``start_positions end_positions``), so either reads the other's.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from albert_zh.files import InputError, atomic_writer, read_json, write_json
from albert_zh.pretrain.example import encode_features, parse_example
from albert_zh.pretrain.records import RecordIndex, RecordWriter
from albert_zh.tasks import Features, Row, Task, get_task
from albert_zh.tasks.classification import ClassificationTask
from albert_zh.tasks.regression import RegressionTask
from albert_zh.tasks.span import SpanTask
from albert_zh.text.tokenizer import Tokenizer, load_tokenizer

_REMAKE = "Make it with create-finetuning-data."
#: What the JSON says of this package's own records beside what the Garden's says.
_OWN = "albert_zh"
_UNUSED = {"help": "", "ignored": "rows are read from files; no TensorFlow Datasets"}


@dataclass(frozen=True)
class PrepareOptions:
    """Options of ``create-finetuning-data`` (and of create_finetuning_data.py)."""

    train_data_output_path: str = field(metadata={"help": "records of the training rows"})
    meta_data_file_path: str = field(metadata={"help": "JSON about the records, which the runners need"})
    fine_tuning_task_type: str = field(
        default="classification",
        metadata={"help": "kind of task", "choices": ("classification", "regression", "squad")},
    )
    classification_task_name: str = field(default="", metadata={"help": "task, such as MRPC or lcqmc"})
    input_data_dir: str = field(default="", metadata={"help": "folder of the task's train, dev and test files"})
    squad_data_file: str = field(default="", metadata={"help": "training questions in SQuAD's format"})
    eval_data_output_path: str = field(default="", metadata={"help": "records of the dev rows"})
    test_data_output_path: str = field(default="", metadata={"help": "records of the test rows"})
    vocab_file: str = field(default="", metadata={"help": "WordPiece vocabulary"})
    spm_model_file: str = field(default="", metadata={"help": "SentencePiece model", "aliases": ("sp_model_file",)})
    tokenization: str = field(
        default="", metadata={"help": "which of the two is given", "choices": ("", "SentencePiece", "WordPiece")}
    )
    do_lower_case: bool = field(default=True, metadata={"help": "lower-case the text"})
    max_seq_length: int = field(default=128, metadata={"help": "tokens a sequence"})
    doc_stride: int = field(default=128, metadata={"help": "tokens from one window of a passage to the next"})
    max_query_length: int = field(default=64, metadata={"help": "tokens of a question"})
    version_2_with_negative: bool = field(default=False, metadata={"help": "questions may have no answer"})
    tfds_params: str = field(default="", metadata=_UNUSED)

    def __post_init__(self) -> None:
        if bool(self.vocab_file) == bool(self.spm_model_file):
            raise InputError("give --vocab_file or --sp_model_file, whichever belongs to the model, and not both.")
        if self.tokenization and (self.tokenization == "SentencePiece") != bool(self.spm_model_file):
            flag = "--sp_model_file" if self.tokenization == "SentencePiece" else "--vocab_file"
            raise InputError(f"--tokenization={self.tokenization}: needs {flag}.")
        if self.squad:
            if not self.squad_data_file:
                raise InputError("missing --squad_data_file: the training questions.")
            if self.eval_data_output_path or self.test_data_output_path:
                raise InputError(
                    "--eval_data_output_path: answers are cut from the text of their passages, so run_squad.py reads "
                    "the questions it answers from their own file, --predict_file. Leave it out."
                )
        elif not (self.classification_task_name and self.input_data_dir):
            raise InputError("missing --classification_task_name or --input_data_dir: the task and its files' folder.")
        if not 16 <= self.max_seq_length <= 512:
            raise InputError(f"--max_seq_length={self.max_seq_length}: must be from 16 to 512.")

    @property
    def squad(self) -> bool:
        return self.fine_tuning_task_type == "squad"


# ---------------------------------------------------------------------------------------------------------------- write


def run(options: PrepareOptions) -> dict[str, Any]:
    """Writes the records and, last, the JSON; returns its content.

    Raises:
        InputError: rows, vocabulary or task that cannot be used.
    """
    tokenizer = load_tokenizer(options.vocab_file or None, options.spm_model_file or None, options.do_lower_case)
    if options.squad:
        task: Task = dataclasses.replace(
            get_task("squad2" if options.version_2_with_negative else "squad1"),
            files={"train": (options.squad_data_file,)},
            doc_stride=options.doc_stride,
            max_query_length=options.max_query_length,
        )
    else:
        task = get_task(options.classification_task_name).named(options.input_data_dir)
        if not isinstance(task, ClassificationTask | RegressionTask):
            raise InputError(
                f"--classification_task_name={options.classification_task_name}: a task of kind {task.kind!r}; records "
                "are made of sentences, pairs and questions. Fine-tune it with --data_dir."
            )
    outputs = {
        "train": options.train_data_output_path,
        "dev": options.eval_data_output_path,
        "test": options.test_data_output_path,
    }
    rows = {split: task.read(split, options.input_data_dir) for split, path in outputs.items() if path}
    sizes = {}
    for split, of_split in rows.items():
        features = task.featurize(of_split, tokenizer, options.max_seq_length)
        _write(Path(outputs[split]), features, options.max_seq_length, task)
        sizes[split] = len(features)
        print(f"{split}: {len(of_split):,} rows, {len(features):,} records: {outputs[split]}", flush=True)
    about = {
        "task_type": "bert_squad" if options.squad else f"bert_{options.fine_tuning_task_type}",
        "train_data_size": sizes["train"],
        **({"eval_data_size": sizes["dev"]} if "dev" in sizes else {}),
        **({"test_data_size": sizes["test"]} if "test" in sizes else {}),
        "max_seq_length": options.max_seq_length,
    }
    if options.squad:
        about |= {name: getattr(options, name) for name in ("max_query_length", "doc_stride")}
        about["version_2_with_negative"] = options.version_2_with_negative
    else:
        about |= {"processor_type": task.name, "num_labels": task.head.outputs}
    about[_OWN] = {"task": task.name, "vocabulary": tokenizer.fingerprint, "lower_case": tokenizer.lower_case}
    write_json(options.meta_data_file_path, about)
    print(f"about them: {options.meta_data_file_path}", flush=True)
    return about


def _write(path: Path, features: Features, length: int, task: Task) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_writer(path, "wb") as stream:
        writer = RecordWriter(stream)
        for number, (ids, segments) in enumerate(zip(features.input_ids, features.segment_ids, strict=True)):
            filled = np.zeros((3, length), np.int64)
            filled[:, : len(ids)] = ids, np.ones(len(ids)), segments
            record = dict(zip(("input_ids", "input_mask", "segment_ids"), filled, strict=True))
            label = features.labels[number]
            if isinstance(task, SpanTask):
                begin, end = label.tolist()
                if begin < 0:
                    row = features.rows[features.row_numbers[number]]
                    raise InputError(f"{row.where}: no token of the passage holds the answer. Remove the question.")
                record |= {"unique_ids": [1_000_000_000 + number], "start_positions": [begin], "end_positions": [end]}
                record["is_impossible"] = [int(end == 0)]
            else:
                known = task.has_gold(features.rows[number])
                record["label_ids"] = np.array([label if known else 0])
                record["is_real_example"] = [int(known)]
            writer.write_payload(encode_features({name: np.asarray(value) for name, value in record.items()}))


# ----------------------------------------------------------------------------------------------------------------- read


@dataclass(frozen=True)
class PreparedRow(Row):
    """A record: what the network reads, and what it is to learn.

    Attributes:
        input_ids, segment_ids: int32, padding taken off.
        target: as ``Features.labels`` has it.
    """

    input_ids: np.ndarray = None
    segment_ids: np.ndarray = None
    target: Any = None


@dataclass(frozen=True, kw_only=True)
class _Prepared:
    """What makes a task read records; other splits, such as questions to be answered, are read as ever.

    Attributes:
        about: the JSON about the records.
    """

    about: Mapping[str, Any]
    recorded: ClassVar[tuple[str, ...]] = ("train", "dev", "test")

    def read(self, split: str, data_dir: str | os.PathLike[str]) -> list[Any]:
        if split not in self.recorded:
            return super().read(split, data_dir)
        return list(_rows(self.find(split, data_dir), self, split))

    def featurize(self, rows: Sequence[Any], tokenizer: Tokenizer, max_seq_length: int) -> Features:
        if not isinstance(rows[0], PreparedRow):
            return super().featurize(rows, tokenizer, max_seq_length)
        made_with = self.about.get(_OWN, {}).get("vocabulary", tokenizer.fingerprint)
        if made_with != tokenizer.fingerprint:
            raise InputError(
                f"{rows[0].where}: made with another vocabulary (sha256 {made_with[:12]}) than the model's "
                f"({tokenizer.fingerprint[:12]}). Make the records with the model's."
            )
        for row in rows:
            if row.input_ids.max() >= tokenizer.vocab_size:
                raise InputError(
                    f"{row.where}: holds id {row.input_ids.max()}, but the vocabulary has {tokenizer.vocab_size} "
                    "entries. Make the records with the model's."
                )
        return Features(
            input_ids=[row.input_ids for row in rows],
            segment_ids=[row.segment_ids for row in rows],
            labels=np.stack([row.target for row in rows]),
            rows=rows,
            row_numbers=np.arange(len(rows), dtype=np.int32),
        )


@dataclass(frozen=True, kw_only=True)
class PreparedClassification(_Prepared, ClassificationTask):
    """A classification whose rows are records; their texts are not known."""

    text_names: ClassVar[tuple[str, ...]] = ()


@dataclass(frozen=True, kw_only=True)
class PreparedRegression(_Prepared, RegressionTask):
    """A regression whose rows are records; their texts are not known."""

    text_names: ClassVar[tuple[str, ...]] = ()


@dataclass(frozen=True, kw_only=True)
class PreparedSpan(_Prepared, SpanTask):
    """Reading comprehension whose training rows are records; answers are cut from the text of the others."""

    recorded: ClassVar[tuple[str, ...]] = ("train",)


def prepared_task(meta_file: str, files: Mapping[str, str], task_name: str = "") -> Task:
    """The task of records.

    Args:
        meta_file: the JSON about them.
        files: split to record file; of questions only "train".
        task_name: said by the user; it must be the one the records were made for.

    Raises:
        InputError: the JSON is none about records, or names no task that is known.
    """
    about = read_json(meta_file)
    if not isinstance(about, dict) or not {"task_type", "max_seq_length"} <= about.keys():
        raise InputError(f"{meta_file}: no 'task_type' and 'max_seq_length' in it. {_REMAKE}")
    squad = about["task_type"] == "bert_squad"
    named = "squad2" if about.get("version_2_with_negative") else "squad1"
    held = about.get(_OWN, {}).get("task") or (named if squad else about.get("processor_type", ""))
    task = get_task(task_name or held)
    if held and get_task(held).name != task.name:
        raise InputError(f"{meta_file}: records of {held}, not of --task_name={task_name}. Leave it out.")
    changes: dict[str, Any] = {
        "about": about,
        "files": {split: (name,) for split, name in files.items()},
        "recipe": dataclasses.replace(task.recipe, max_seq_length=about["max_seq_length"]),
        "submission": None,
    }
    kinds = {ClassificationTask: PreparedClassification, RegressionTask: PreparedRegression, SpanTask: PreparedSpan}
    if type(task) not in kinds:
        raise InputError(f"{meta_file}: records of {task.name}, a task of kind {task.kind!r}, cannot be used.")
    if squad:
        changes |= {name: about[name] for name in ("max_query_length", "doc_stride") if name in about}
    elif about.get("num_labels", task.head.outputs) != task.head.outputs:
        raise InputError(f"{meta_file}: {about['num_labels']} labels, {task.name} has {task.head.outputs}.")
    values = {field.name: getattr(task, field.name) for field in dataclasses.fields(task)}
    return kinds[type(task)](**values | changes)


def _rows(path: Path, task: Task, split: str) -> Iterator[PreparedRow]:
    with RecordIndex(path) as records:
        for number in range(len(records)):
            where = f"{path}:{number}"
            features = parse_example(records.read(number))
            wanted = ("start_positions", "end_positions") if isinstance(task, SpanTask) else ("label_ids",)
            if missing := [n for n in ("input_ids", "input_mask", "segment_ids", *wanted) if n not in features]:
                raise InputError(f"{where}: a record without {', '.join(missing)}. {_REMAKE}")
            length = int(features["input_mask"].sum())
            if not 0 < length <= len(features["input_ids"]):
                raise InputError(f"{where}: input_mask says {length} tokens of {len(features['input_ids'])}. {_REMAKE}")
            ids, segments = (features[name][:length].astype(np.int32) for name in ("input_ids", "segment_ids"))
            target, label = _target(features, task, wanted, split, where)
            yield PreparedRow(where, "", None, label, number, ids, segments, target)


def _target(features: Mapping[str, np.ndarray], task: Task, names: Sequence[str], split: str, where: str):
    """What is learned of a record, and its label as text; None where it is not known."""
    values = [features[name][0] for name in names]
    if isinstance(task, SpanTask):
        begin, end = map(int, values)
        if not begin <= end < features["input_mask"].sum():
            raise InputError(
                f"{where}: an answer from token {begin} to {end} of {features['input_mask'].sum()}. {_REMAKE}"
            )
        return np.array(values, np.int32), None
    known = not split.startswith("test") or features.get("is_real_example", [1])[0]
    if isinstance(task, RegressionTask):
        return np.float32(values[0] if known else np.nan), repr(float(values[0])) if known else None
    if not 0 <= values[0] < len(task.labels):
        raise InputError(f"{where}: label number {values[0]}; {task.name} has {len(task.labels)} labels.")
    return np.int32(values[0] if known else -1), task.labels[values[0]] if known else None
