"""What is known of a model that is exported: scores beside the trivial baselines, where it began, its licence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from albert_zh.files import read_json
from albert_zh.hub.catalog import MODELS
from albert_zh.opened import OpenModel
from albert_zh.tasks.baselines import level
from albert_zh.tasks.task import Task

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Score:
    """One split's main metric beside the trivial baselines, as the task shows them.

    Attributes:
        level: how it stands to the best of those; see ``tasks.baselines.level``. None: there are none.
    """

    split: str
    metric: str
    value: float
    shown: str
    interval: str
    rows: int
    others: Mapping[str, str]
    baselines: Mapping[str, str]
    level: str | None


def scores_of(task: Task, metrics: Mapping[str, Any]) -> list[Score]:
    """The splits that have a score, dev first."""
    found = []
    for split in sorted(
        (name for name in metrics if name.startswith(("dev", "test"))), key=lambda name: (name != "dev", name)
    ):
        held = metrics[split]
        if not isinstance(held, Mapping) or task.main_metric not in held:
            continue
        value, low, high = (held.get(task.main_metric + end) for end in ("", "_low", "_high"))
        baselines = metrics.get("baselines", {}).get(split, {})
        found.append(
            Score(
                split,
                task.main_metric,
                value,
                task.shown(value),
                "" if low is None or high is None else f"{task.shown(low)} to {task.shown(high)}",
                int(held.get("rows", 0)),
                {name: task.shown(held[name], name) for name in task.more_metrics if name in held},
                {name: task.shown(score) for name, score in baselines.items()},
                level(value, low, max(baselines.values())) if baselines else None,
            )
        )
    return found


def kept(path: Path) -> dict[str, Any]:
    """What a JSON file beside the weights says; empty where there is none."""
    return read_json(path) if path.is_file() else {}


def catalogued(opened: OpenModel, settings: Mapping[str, Any]) -> str | None:
    """The name in the catalogue of the published weights that this model is, or began from; None: not known."""
    start = settings.get("init_checkpoint") if settings else None
    for given in (start, None if start else str(opened.source.folder)):
        if given in MODELS:
            return given
        for name in MODELS:
            if given and name in Path(given).parts:
                return name
    return None


def licence_of(opened: OpenModel, settings: Mapping[str, Any]) -> str:
    """The licence of those weights, as the catalogue knows it, else ``UNKNOWN``."""
    name = catalogued(opened, settings)
    return MODELS[name].licence if name else UNKNOWN
