"""What came of a suite: one row a task and one row a run, as JSON, as CSV, and as tables of the report."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from albert_zh.files import atomic_writer, write_json
from albert_zh.report.content import Table, printed_score
from albert_zh.suite.plan import Job, duration

_COLUMNS = "task rate seed metric dev best_step steps stopped_after seconds memory_mb folder".split()


@dataclass(frozen=True)
class Result:
    """A finished task: its job and the ``metrics.json`` of its sweep."""

    job: Job
    metrics: dict[str, Any]

    @property
    def metric(self) -> str:
        return self.job.task.main_metric

    @property
    def folder(self) -> Path:
        return Path(self.job.options.output_dir)

    @property
    def further_dev(self) -> tuple[str, ...]:
        """Splits beside dev that were scored as it was."""
        return self.job.task.further_dev(self.job.options.data_dir)

    @property
    def above_baselines(self) -> bool:
        """Whether dev is above the best trivial baseline, beyond its 95% interval."""
        return self.is_above("dev")

    def is_above(self, split: str) -> bool:
        """The same of a split."""
        best = max(self.metrics["baselines"].get(split, {}).values(), default=0.0)
        return self.metrics[split][f"{self.metric}_low"] > best

    def summary(self) -> dict[str, Any]:
        """What ``results.json`` says of the task."""
        task, metrics = self.job.task, self.metrics
        return {
            "metric": self.metric,
            **{split: metrics[split] for split in ("dev", *self.further_dev)},
            "seeds": metrics["seeds"],
            "baselines": metrics["baselines"].get("dev", {}),
            "above_baselines": self.above_baselines,
            "published": [vars(score) for score in task.published],
            "best": {name: metrics["settings"][name] for name in ("learning_rate", "random_seed", "train_batch_size")},
            "trials": metrics["trials"],
            "folder": str(self.folder),
        }


def write_results(folder: Path, results: Sequence[Result], failures: dict[str, str], settings: dict[str, Any]) -> None:
    """Writes ``results.json``, one entry a task, and ``results.csv``, one row a run."""
    write_json(
        folder / "results.json",
        {
            "settings": settings,
            "tasks": {result.job.task.name: result.summary() for result in results},
            "failures": failures,
        },
    )
    with atomic_writer(folder / "results.csv") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for result in results:
            for trial in result.metrics["trials"]:
                known = {"task": result.job.task.name, "metric": result.metric, "dev": trial["score"]} | trial
                known["folder"] = str(result.folder / trial["folder"])
                writer.writerow([known.get(column, "") for column in _COLUMNS])


def overview(results: Sequence[Result], failures: dict[str, str]) -> Table:
    """One row a task, and one for each further dev split: the score beside what needs no model and what was
    published."""
    rows: list[tuple[str, ...]] = []
    for result in results:
        task, metrics = result.job.task, result.metrics
        seeds, shown = metrics["seeds"], task.shown
        spread = f"{shown(seeds['mean'])} ± {shown(seeds['deviation'])} ({seeds['runs']})" if seeds["runs"] > 1 else "–"
        seconds = duration(sum(trial["seconds"] for trial in metrics["trials"] if "seconds" in trial))
        rows.append((task.name, *_beside_baseline(result, "dev", spread), _published(task), seconds))
        for split in result.further_dev:
            rows.append((f"{task.name} {split}", *_beside_baseline(result, split, "–"), "–", "–"))
    rows += [(name, "未完成 failed", *["–"] * 5) for name in failures]
    head = (
        "任务 task",
        "开发集 dev",
        "种子 seeds",
        "平凡基线 baseline",
        "明显高于 above",
        "已公布 published (dev/test)",
        "时间 time",
    )
    return Table("各任务成绩 Scores of all tasks", head, tuple(rows))


def _beside_baseline(result: Result, split: str, spread: str) -> tuple[str, str, str, str]:
    """Score, spread, best trivial baseline, and whether the score is clearly above it."""
    shown = result.job.task.shown
    best = max(result.metrics["baselines"].get(split, {}).values(), default=None)
    return (
        shown(result.metrics[split][result.metric]),
        spread,
        "–" if best is None else shown(best),
        "是 yes" if result.is_above(split) else "否 no",
    )


def _published(task) -> str:
    def printed(value: float | None) -> str:
        return "–" if value is None else printed_score(value, task.main_metric).rstrip("%")

    def one(score) -> str:
        return f"{score.model} {printed(score.dev)}/{printed(score.test)}"

    return "; ".join(one(score) for score in task.published if "tiny" in score.model or "base" in score.model) or "–"


def trials_table(results: Sequence[Result]) -> Table:
    """One row a run: rate, seed, score, time, memory."""
    rows = []
    for result in results:
        shown = result.job.task.shown
        for trial in result.metrics["trials"]:
            ended = f"{trial['stopped_after']:,}/" if "stopped_after" in trial else ""
            rows.append(
                (
                    result.job.task.name,
                    f"{trial['rate']:g}",
                    str(trial["seed"]),
                    shown(trial["score"]),
                    f"{trial['best_step']:,}",
                    f"{ended}{trial['steps']:,}",
                    duration(trial["seconds"]),
                    f"{trial['memory_mb']:,} MB",
                )
            )
    head = tuple(
        "任务 task, 学习率 rate, 种子 seed, 开发集 dev, 最佳步 best, 步数 updates, 时间 time, 内存 memory".split(", ")
    )
    return Table("每次训练 Every run", head, tuple(rows))
