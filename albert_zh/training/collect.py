"""Reads finished folders back into one report: what pretraining and fine-tuning left, nothing computed anew."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from albert_zh.config import AlbertConfig
from albert_zh.files import InputError, read_json
from albert_zh.pretrain.inspect import masked_example_html
from albert_zh.pretrain.records import RecordIndex, parse_instance
from albert_zh.tasks import get_task
from albert_zh.text.tokenizer import load_tokenizer
from albert_zh.training.charts import Chart, Curve, pretraining_charts
from albert_zh.training.logs import curve
from albert_zh.training.report import (
    Report,
    Table,
    TaskReport,
    baseline_scores,
    finetuning_charts,
    task_report,
    write_report,
)


@dataclass(frozen=True)
class ReportOptions:
    """Options of ``report``."""

    output_file: str = field(metadata={"help": "the page to write, such as report.html"})
    finetuned_dir: tuple[str, ...] = field(default=(), metadata={"help": "folders that finetune left"})
    pretrained_dir: str = field(default="", metadata={"help": "folder that pretrain left"})
    record_file: str = field(default="", metadata={"help": "record file that a masked example is shown from"})
    compare: tuple[str, ...] = field(
        default=(),
        metadata={"help": "NAME=FOLDER: another fine-tuned folder of a task shown, such as one from random weights"},
    )
    title: str = field(default="ALBERT: 从文本到模型 From text to model", metadata={"help": "heading of the page"})
    command: tuple[str, ...] = field(
        default=(), metadata={"help": "WHAT=COMMAND LINE, shown as ways to repeat the run"}
    )
    next_step: tuple[str, ...] = field(
        default=(), metadata={"help": "WHAT=COMMAND LINE, shown as what to type next", "split": False}
    )


def run(options: ReportOptions) -> Path:
    """Writes the report.

    Raises:
        InputError: a folder that is not finished, or an option that cannot be read.
    """
    if not (options.finetuned_dir or options.pretrained_dir):
        raise InputError("nothing to report: give --pretrained_dir, --finetuned_dir or both.")
    compared = [_named(text, "--compare") for text in options.compare]
    tasks = tuple(_task(Path(folder), compared) for folder in options.finetuned_dir)
    pretrained = Path(options.pretrained_dir) if options.pretrained_dir else None
    report = Report(
        title=options.title,
        facts=_facts(pretrained, [Path(folder) for folder in options.finetuned_dir]),
        tasks=tasks,
        pretraining=_pretraining_charts(pretrained) if pretrained else (),
        masked_example=_masked_example(options, pretrained) if options.record_file and pretrained else "",
        data=_data_tables(options),
        commands=tuple(_named(text, "--command") for text in options.command),
        next_steps=tuple(_named(text, "--next_step") for text in options.next_step),
    )
    path = write_report(options.output_file, report)
    print(f"report: {path}", flush=True)
    return path


def _named(text: str, flag: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator:
        raise InputError(f"{flag} {text}: no '=' in it. Write NAME=VALUE.")
    return name, value


def _finished(folder: Path, file: str) -> Any:
    if not (folder / file).is_file():
        raise InputError(f"{folder}: no {file}, so the run there has not finished. Run the same command again.")
    return read_json(folder / file)


def _task(folder: Path, compared: list[tuple[str, str]]) -> TaskReport:
    metrics = _finished(folder, "metrics.json")
    task, data_dir = get_task(metrics["task"]), metrics["settings"]["data_dir"]
    train, dev = task.read("train", data_dir), task.read("dev", data_dir)
    has_test = (folder / "test_predictions.tsv").is_file()
    test = task.read("test", data_dir) if has_test else []
    others = []
    for name, other in compared:
        theirs = _finished(Path(other), "metrics.json")
        if theirs["task"] == task.name:
            others.append((name, theirs["dev"][task.main_metric]))
    log = folder / "log.csv"
    return task_report(
        task,
        train,
        dev,
        task.read_predictions(folder / "dev_predictions.tsv"),
        test,
        task.read_predictions(folder / "test_predictions.tsv") if has_test else (),
        charts=finetuning_charts(
            Curve("训练 train", *curve(log, "train", "loss")),
            Curve("开发集 dev", *curve(log, "dev", task.main_metric), dev=True),
            Curve("开发集 dev", *curve(log, "dev", "loss"), dev=True),
            baseline_scores(train, dev),
        ),
        compared=tuple(others),
        notes=(
            f"保留第 {metrics['best_step']:,} 步（共 {metrics['steps']:,} 步），由开发集选出。 "
            f"Update {metrics['best_step']:,} of {metrics['steps']:,} was kept, chosen by dev alone.",
        ),
    )


def _pretraining_charts(folder: Path) -> tuple[Chart, ...]:
    log = folder / "log.csv"

    def both(name: str) -> tuple[Curve, ...]:
        return (
            Curve("训练 train", *curve(log, "train", name)),
            Curve("开发集 dev", *curve(log, "dev", name), dev=True),
        )

    scores = read_json(folder / "eval_results.json") if (folder / "eval_results.json").is_file() else {}
    return pretraining_charts(
        masked_lm_loss=both("mlm_loss"),
        masked_lm_accuracy=both("mlm_accuracy"),
        sentence_order_accuracy=both("sop_accuracy"),
        unigram_entropy=scores.get("unigram_loss"),
    )


def _masked_example(options: ReportOptions, pretrained: Path) -> str:
    tokenizer = load_tokenizer(vocab_file=pretrained / "vocab.txt")
    with RecordIndex(options.record_file) as records:
        # The first of a readable length: whole pages of tokens teach nobody anything.
        instances = (parse_instance(records.read(n)) for n in range(min(len(records), 200)))
        shown = min(instances, key=lambda instance: abs(len(instance.input_ids) - 90))
    return masked_example_html(shown, tokenizer)


def _facts(pretrained: Path | None, finetuned: list[Path]) -> tuple[tuple[str, str], ...]:
    facts: list[tuple[str, str]] = []
    if pretrained:
        run_settings = _finished(pretrained, "run.json")
        config = AlbertConfig.from_dict(run_settings["config"])
        facts += [
            (
                "模型 Model",
                f"ALBERT ({config.family}), {config.num_hidden_layers} layers, hidden {config.hidden_size}, "
                f"{config.num_attention_heads} heads",
            ),
            (
                "预训练 Pretraining",
                f"{run_settings['num_train_steps']:,} updates × {run_settings['train_batch_size']} rows × "
                f"{run_settings['max_seq_length']} tokens, {run_settings['optimizer']}, "
                f"rate {run_settings['learning_rate']:.3g}, seed {run_settings['random_seed']}",
            ),
        ]
        scores = read_json(pretrained / "eval_results.json") if (pretrained / "eval_results.json").is_file() else {}
        if scores:
            facts.append(
                (
                    "预训练开发集 Pretraining dev",
                    f"masked-LM loss {scores['mlm_loss']:.2f} (by frequency alone {scores['unigram_loss']:.2f}), "
                    f"accuracy {scores['mlm_accuracy']:.1%} ({scores['unigram_accuracy']:.1%}); "
                    f"sentence order {scores['sop_accuracy']:.1%} (50%)",
                )
            )
    for folder in finetuned:
        metrics = _finished(folder, "metrics.json")
        settings = metrics["settings"]
        facts.append(
            (
                f"微调 Fine-tuning {metrics['task']}",
                f"{metrics['steps']:,} updates × {settings['train_batch_size']} rows, rate "
                f"{settings['learning_rate']:.3g}, {metrics['parameters']:,} parameters, seed "
                f"{settings['random_seed']}, {metrics['seconds']:.0f} s",
            )
        )
    return tuple(facts)


def _data_tables(options: ReportOptions) -> tuple[Table, ...]:
    manifest = Path(f"{options.record_file}.manifest.json") if options.record_file else None
    if manifest is None or not manifest.is_file():
        return ()
    content = read_json(manifest)
    counts, ratios = content["counts"], content["shares"]
    rows: list[tuple[str | int | float, ...]] = [
        (name, counts[key])
        for name, key in (
            ("文档 documents", "documents"),
            ("句子 sentences", "sentences"),
            ("词元 tokens of text", "text_tokens"),
            ("样本 instances", "instances"),
        )
        if key in counts
    ]
    rows += [(name.replace("_", " "), f"{value:.2%}") for name, value in ratios.items()]
    return (Table("预训练数据 Pretraining data", ("项目 item", "数量 count"), tuple(rows)),)
