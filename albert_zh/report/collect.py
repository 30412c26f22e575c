"""Reads finished folders back into one report: what pretraining and fine-tuning left there; no model is run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from albert_zh.config import AlbertConfig
from albert_zh.files import InputError, read_json
from albert_zh.pretrain.inspect import masked_example_html
from albert_zh.pretrain.manifest import find_manifest
from albert_zh.pretrain.records import RecordIndex
from albert_zh.report.charts import Chart, Curve
from albert_zh.report.content import (
    Report,
    Table,
    TaskReport,
    baseline_scores,
    finetuning_charts,
    pretraining_charts,
    printed_score,
    sweep_charts,
    task_report,
)
from albert_zh.report.page import write_report
from albert_zh.tasks import Prediction, Row, Task, task_of
from albert_zh.text.tokenizer import Tokenizer, load_tokenizer
from albert_zh.text.words import make_segmenter
from albert_zh.training.logs import LOG_FILE, curve

#: Tokens of the masked example, about, and how many instances it is chosen from: whole pages of tokens teach nobody.
READABLE_TOKENS, LOOKED_AT = 90, 200


@dataclass(frozen=True)
class ReportOptions:
    """Options of ``report``."""

    output_file: str = field(metadata={"help": "the page to write, such as report.html"})
    finetuned_dir: tuple[str, ...] = field(default=(), metadata={"help": "folders that finetune left"})
    pretrained_dir: str = field(default="", metadata={"help": "folder that pretrain left"})
    record_file: str = field(
        default="", metadata={"help": "record file of that pretraining, to show its counts and a masked example"}
    )
    compare: tuple[str, ...] = field(
        default=(),
        metadata={"help": "NAME=FOLDER: another fine-tuned folder of a task shown, such as one from random weights"},
    )
    title: str = field(default="ALBERT: 从文本到模型 From text to model", metadata={"help": "heading of the page"})
    command: tuple[str, ...] = field(
        default=(), metadata={"help": "WHAT=COMMAND LINE, shown as ways to repeat the run", "split": False}
    )
    next_step: tuple[str, ...] = field(
        default=(), metadata={"help": "WHAT=COMMAND LINE, shown as what to type next", "split": False}
    )


@dataclass(frozen=True)
class FinetunedFolder:
    """What ``finetune`` left: its folder and the content of ``metrics.json``."""

    folder: Path
    metrics: dict[str, Any]

    @classmethod
    def read(cls, folder: str) -> FinetunedFolder:
        """Raises InputError when the run there has not finished or dev was not scored."""
        metrics = _finished(Path(folder), "metrics.json")
        if "dev" not in metrics.get("scored", ()):
            raise InputError(f"{folder}: dev was not scored there. Run finetune with --do_eval=true on that folder.")
        return cls(Path(folder), metrics)

    @property
    def task(self) -> Task:
        return task_of(self.metrics).named(self.settings.get("data_dir", ""))

    @property
    def settings(self) -> dict[str, Any]:
        return self.metrics["settings"]

    def rows(self, split: str) -> list[Row]:
        data_dir = self.settings["data_dir"]
        if not Path(data_dir).is_dir():
            raise InputError(
                f"{self.folder}: its rows came from {data_dir}, which is not there. Put them back, or call report "
                "from the folder that finetune was called from."
            )
        path = self.task.find(split, data_dir)
        now = self.task.fingerprint(split, data_dir)
        if split != "train" and now != self.metrics["scored"].get(split):
            raise InputError(
                f"{path}: not the rows that {self.folder} answered (sha256 {now[:12]}). Put those back, or "
                f"run finetune with --do_eval=true --do_predict=true on that folder to answer these."
            )
        rows = self.task.read(split, data_dir)
        few = self.settings.get("few_shot") if split == "train" else None
        return self.task.sample(rows, few, self.settings["random_seed"]) if few else rows

    def predictions(self, split: str, rows: list[Row]) -> list[Prediction]:
        path = self.folder / f"{split}_predictions.tsv"
        predictions = self.task.read_predictions(path)
        if len(predictions) != len(rows):
            raise InputError(
                f"{path}: {len(predictions):,} predictions for {len(rows):,} {split} rows. Run finetune with "
                "--do_eval=true --do_predict=true on that folder again."
            )
        return predictions


def run(options: ReportOptions, overview: tuple[Table, ...] = ()) -> Path:
    """Writes the report, ``overview`` first, and returns its path.

    Raises:
        InputError: a folder that is not finished, rows or files that are gone, a comparison that compares nothing, or
            an option that cannot be read.
    """
    if not (options.finetuned_dir or options.pretrained_dir):
        raise InputError("nothing to report: give --pretrained_dir, --finetuned_dir or both.")
    if options.record_file and not options.pretrained_dir:
        raise InputError("--record_file: give --pretrained_dir too, whose vocabulary the records were made with.")
    pretrained = Path(options.pretrained_dir) if options.pretrained_dir else None
    finetuned = [FinetunedFolder.read(folder) for folder in options.finetuned_dir]
    compared = [(name, FinetunedFolder.read(folder)) for name, folder in _named(options.compare, "--compare")]
    for name, other in compared:
        if other.task.name not in [shown.task.name for shown in finetuned]:
            raise InputError(
                f"--compare {name}={other.folder}: a run of {other.task.name}, of which no --finetuned_dir is given. "
                "Give one, or leave the comparison out."
            )
    manifest = find_manifest(Path(options.record_file)) if options.record_file else None
    report = Report(
        title=options.title,
        overview=overview,
        facts=(*(_pretraining_facts(pretrained) if pretrained else ()), *map(_finetuning_fact, finetuned)),
        tasks=tuple(_task(shown, compared) for shown in finetuned),
        pretraining=_pretraining_charts(pretrained) if pretrained else (),
        masked_example=_masked_example(options.record_file, manifest, pretrained) if options.record_file else "",
        data=(_counts(manifest),) if manifest else (),
        commands=_named(options.command, "--command"),
        next_steps=_named(options.next_step, "--next_step"),
    )
    path = write_report(options.output_file, report)
    print(f"report: {path}", flush=True)
    return path


def _named(texts: tuple[str, ...], flag: str) -> tuple[tuple[str, str], ...]:
    for text in texts:
        if not all(text.partition("=")):
            raise InputError(f"{flag} {text}: not NAME=VALUE. Write a name, '=' and what it names.")
    return tuple(tuple(text.split("=", 1)) for text in texts)


def _finished(folder: Path, file: str) -> Any:
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder. Give the --output_dir of a finished run.")
    if not (folder / file).is_file():
        raise InputError(f"{folder}: no {file}, so the run there has not finished. Run the same command again.")
    return read_json(folder / file)


# Fine-tuning


def _task(shown: FinetunedFolder, compared: list[tuple[str, FinetunedFolder]]) -> TaskReport:
    task, metrics, log = shown.task, shown.metrics, shown.folder / "log.csv"
    dev = shown.rows("dev")
    train = shown.rows("train") if task.has("train", shown.settings["data_dir"]) else []
    answered_test = (shown.folder / "test_predictions.tsv").is_file()
    test = shown.rows("test") if answered_test else []
    charts = finetuning_charts(
        Curve("训练 train", *curve(log, "train", "loss")),
        Curve("开发集 dev", *curve(log, "dev", task.main_metric), dev=True),
        Curve("开发集 dev", *curve(log, "dev", "loss"), dev=True),
        baseline_scores(task, train, dev),
        task.main_metric,
    )
    if len(trials := metrics.get("trials", ())) > 1:
        charts += sweep_charts(
            [(trial["rate"], trial["seed"], trial["score"]) for trial in trials],
            [
                Curve(
                    f"{trial['rate']:g} · {trial['seed']}",
                    *curve(shown.folder / trial["folder"] / LOG_FILE, "dev", task.main_metric),
                )
                for trial in trials
            ],
            (shown.settings["learning_rate"], metrics["dev"][task.main_metric]),
            task.main_metric,
        )
    further = task.further_dev(shown.settings["data_dir"])
    notes = tuple(_further_dev(split, task, metrics[split]) for split in further if split in metrics)
    if "best_step" in metrics:
        best, steps = metrics["best_step"], metrics["steps"]
        notes += (
            f"保留第 {best:,} 步（共 {steps:,} 步），由开发集选出。 "
            f"Update {best:,} of {steps:,} was kept, chosen by dev alone.",
        )
    return task_report(
        task,
        train,
        dev,
        shown.predictions("dev", dev),
        test,
        shown.predictions("test", test) if answered_test else (),
        charts=charts,
        compared=tuple((name, _dev_score(other, shown)) for name, other in compared if other.task.name == task.name),
        notes=notes,
    )


def _further_dev(split: str, task: Task, scores: dict[str, float]) -> str:
    low, value, high = (
        printed_score(scores[f"{task.main_metric}{end}"], task.main_metric) for end in ("_low", "", "_high")
    )
    return f"{split}: {task.main_metric} {value} ({low}–{high}), {scores['rows']:,.0f} rows."


def _dev_score(other: FinetunedFolder, shown: FinetunedFolder) -> float:
    """The other run's dev score, which must have been measured on the same rows."""
    ours, theirs = (folder.metrics["scored"]["dev"] for folder in (shown, other))
    if ours != theirs:
        raise InputError(
            f"--compare {other.folder}: scored on another dev file than {shown.folder} ({theirs[:12]}, {ours[:12]}). "
            "Compare runs on the same rows."
        )
    return other.metrics["dev"][shown.task.main_metric]


def _finetuning_fact(shown: FinetunedFolder) -> tuple[str, str]:
    metrics, settings = shown.metrics, shown.settings
    name = f"微调 Fine-tuning {shown.task.name}"
    if "steps" not in metrics:  # scored alone, not trained here
        return name, f"{metrics['dev']['rows']:,.0f} dev rows scored"
    return name, (
        f"{metrics['steps']:,} updates × {settings['train_batch_size']} rows, rate {settings['learning_rate']:.3g}, "
        f"{metrics['parameters']:,} parameters, seed {settings['random_seed']}"
    )


# Pretraining


def _eval_results(folder: Path) -> dict[str, float]:
    """Empty for a run without --do_eval."""
    return read_json(folder / "eval_results.json") if (folder / "eval_results.json").is_file() else {}


def _pretraining_charts(folder: Path) -> tuple[Chart, ...]:
    log, scores = folder / "log.csv", _eval_results(folder)

    def both(name: str) -> tuple[Curve, ...]:
        return (
            Curve("训练 train", *curve(log, "train", name)),
            Curve("开发集 dev", *curve(log, "dev", name), dev=True),
        )

    return pretraining_charts(
        masked_lm_loss=both("mlm_loss"),
        masked_lm_accuracy=both("mlm_accuracy"),
        sentence_order_accuracy=both("sop_accuracy"),
        unigram_loss=scores.get("unigram_loss"),
        unigram_accuracy=scores.get("unigram_accuracy"),
    )


def _pretraining_facts(folder: Path) -> list[tuple[str, str]]:
    settings, scores = _finished(folder, "run.json"), _eval_results(folder)
    config = AlbertConfig.from_dict(settings["config"])
    facts = [
        (
            "模型 Model",
            f"ALBERT ({config.family}), {config.num_hidden_layers} layers, hidden {config.hidden_size}, "
            f"{config.num_attention_heads} heads",
        ),
        (
            "预训练 Pretraining",
            f"{settings['num_train_steps']:,} updates × {settings['train_batch_size']} rows × "
            f"{settings['max_seq_length']} tokens, {settings['optimizer']}, rate {settings['learning_rate']:.3g}, "
            f"seed {settings['random_seed']}",
        ),
    ]
    if scores:
        facts.append(
            (
                "预训练开发集 Pretraining dev",
                f"masked-LM loss {scores['mlm_loss']:.2f} (by frequency alone {scores['unigram_loss']:.2f}), "
                f"accuracy {scores['mlm_accuracy']:.1%} ({scores['unigram_accuracy']:.1%}); "
                f"sentence order {scores['sop_accuracy']:.1%} (50%)",
            )
        )
    return facts


def _masked_example(record_file: str, manifest: dict[str, Any] | None, pretrained: Path) -> str:
    tokenizer = _tokenizer(pretrained)
    with RecordIndex(record_file) as records:
        instances = [records.instance(number) for number in range(min(len(records), LOOKED_AT))]
        shown = min(instances, key=lambda instance: abs(len(instance.input_ids) - READABLE_TOKENS))
    if int(shown.original_ids.max()) >= tokenizer.vocab_size:
        raise InputError(f"{record_file}: made with a larger vocabulary than {tokenizer.path}. Give its own records.")
    other_language = manifest is not None and manifest["options"].get("non_chinese")
    return masked_example_html(shown, tokenizer, make_segmenter("none") if other_language else None)


def _tokenizer(folder: Path) -> Tokenizer:
    if (folder / "vocab.txt").is_file():
        return load_tokenizer(vocab_file=folder / "vocab.txt")
    if (folder / "spm.model").is_file():
        return load_tokenizer(spm_model_file=folder / "spm.model")
    raise InputError(
        f"{folder}: no vocab.txt or spm.model, so a masked example cannot be shown. Copy the vocabulary of the records "
        "there, or leave --record_file out."
    )


def _counts(manifest: dict[str, Any]) -> Table:
    names = {
        "documents": "文档 documents",
        "sentences": "句子 sentences",
        "text_tokens": "词元 tokens of text",
        "instances": "样本 instances",
        "masked_tokens": "被盖词元 tokens masked",
        "swapped": "句序颠倒 swapped pairs",
        "unknown_tokens": "未知词元 unknown tokens",
        "skipped_tokens": "太短而略过 skipped as too short",
    }
    counts, shares = manifest["counts"], manifest["shares"]
    rows: list[tuple[str | int | float, ...]] = []
    for key, name in names.items():
        if key in shares:
            rows.append((name, f"{shares[key]:.2%}"))
        elif key in counts:
            rows.append((name, counts[key]))
    return Table("预训练数据 Pretraining data", ("项目 item", "数量 count"), tuple(rows))
