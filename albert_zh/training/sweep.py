"""Several learning rates and seeds, one finished folder: the best by dev; a stopped sweep goes on where it stopped."""

from __future__ import annotations

import dataclasses
import math
import shutil
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from albert_zh import pretrained
from albert_zh.files import InputError, explained, read_json, write_json
from albert_zh.pretrained import TASK_FILE
from albert_zh.tasks import Task
from albert_zh.training import finetuning
from albert_zh.training.checkpoints import RUN_FILE, check_folder
from albert_zh.training.finetuning import METRICS_FILE, finished_files
from albert_zh.training.logs import LOG_FILE, curve
from albert_zh.training.options import FinetuneOptions
from albert_zh.training.task_options import task_from
from albert_zh.training.trainer import Stop

#: What the run.json of a sweep's folder says; each rate's own folder holds the run.
SWEEP = {"kind": "sweep of learning rates"}


def rates_of(options: FinetuneOptions, task: Task) -> tuple[float, ...]:
    """The learning rates a sweep tries. Raises InputError when one is no number."""
    recipe = task.recipe
    if not options.learning_rates:
        return recipe.learning_rates or (recipe.learning_rate,)
    try:
        return tuple(float(rate) for rate in options.learning_rates)
    except ValueError as error:
        raise InputError(
            f"--learning_rates={','.join(options.learning_rates)}: {error}. Write 2e-5,6e-5,1e-4."
        ) from None


def run(options: FinetuneOptions) -> dict[str, Any]:
    """The ``finetune`` command: one run, or with ``options.sweep`` one for each learning rate."""
    return run_sweep(options) if options.sweep else finetuning.run(options)


@dataclasses.dataclass(frozen=True)
class Trial:
    """One run of a sweep.

    Attributes:
        rate: learning rate.
        seed: of the run.
        folder: where it is kept.
        score: dev score of the main metric.
        metrics: the content of its ``metrics.json``.
    """

    rate: float
    seed: int
    folder: Path
    score: float
    metrics: dict[str, Any]

    def summary(self) -> dict[str, Any]:
        """What is kept of it with the sweep."""
        kept = ("best_step", "steps", "stopped", "stopped_after", "seconds", "memory_mb")
        about = {name: self.metrics[name] for name in kept if name in self.metrics}
        return {"rate": self.rate, "seed": self.seed, "score": self.score, "folder": self.folder.name, **about}


def run_sweep(options: FinetuneOptions) -> dict[str, Any]:
    """Fine-tunes once a rate, then the best rate once a seed; then answers test with the best of them by dev alone.

    Each run has its folder in ``output_dir``; a run that is finished there is not done again.

    Returns:
        The best run's metrics, with ``sweep``: rate -> dev score of the main metric; ``trials``: one entry a run; and
        ``seeds``: mean, standard deviation (n - 1) and number of the dev scores of the best rate's seeds.

    Raises:
        InputError: what a single run raises, a rate that is no number, or a folder that holds a single run.
    """
    folder, task = Path(options.output_dir), task_from(options)
    config = None if options.warm_start else options.bert_config_file or None
    source = pretrained.find(options.init_checkpoint, config) if options.init_checkpoint else None
    check_folder(folder, overwrite=options.overwrite, source=source)
    if (folder / RUN_FILE).exists() and not options.overwrite and read_json(folder / RUN_FILE) != SWEEP:
        raise InputError(
            f"{folder}: holds a run of one learning rate. Give the sweep another --output_dir, or --overwrite=true."
        )
    # All options are made, and so checked, before the first run.
    rates = {rate: trial_options(options, rate, options.random_seed) for rate in rates_of(options, task)}
    share, trials = finetuning.Share(), []
    for number, (rate, run) in enumerate(rates.items(), 1):
        print(f"\nlearning rate {rate:g} ({number} of {len(rates)})", flush=True)
        stop = Losing([trial.folder / LOG_FILE for trial in trials], task) if options.early_stop else None
        trials.append(_trial(run, share, stop, task))
    best_rate = max(trials, key=lambda trial: trial.score).rate
    for seed in range(options.random_seed + 1, options.random_seed + options.seeds):
        print(f"\nlearning rate {best_rate:g}, seed {seed}", flush=True)
        trials.append(_trial(trial_options(options, best_rate, seed), share, None, task))
    of_best = [trial for trial in trials if trial.rate == best_rate]
    best = max(of_best, key=lambda trial: trial.score)
    print("\n" + "\n".join(_line(trial, task) for trial in trials))
    seeds = _spread([trial.score for trial in of_best])
    spread = f"; {len(of_best)} seeds: mean {task.shown(seeds['mean'])} ± {task.shown(seeds['deviation'])}"
    print(f"best: rate {best.rate:g}, seed {best.seed}{spread if len(of_best) > 1 else ''}", flush=True)
    if options.do_predict:
        answering = trial_options(options, best.rate, best.seed)
        finetuning.run(dataclasses.replace(answering, do_predict=True, overwrite=False), share)
    metrics = read_json(best.folder / METRICS_FILE) | {
        "sweep": {f"{trial.rate:g}": trial.score for trial in trials[: len(rates)]},
        "trials": [trial.summary() for trial in trials],
        "seeds": seeds,
    }
    write_json(folder / RUN_FILE, SWEEP)
    with explained(folder):
        for file in (file for pattern in finished_files(task) for file in folder.glob(pattern)):  # of an earlier best
            file.unlink()
        for file in sorted(best.folder.iterdir()):
            if file.is_file() and file.name not in (TASK_FILE, METRICS_FILE, RUN_FILE):
                shutil.copyfile(file, folder / file.name)
        write_json(folder / METRICS_FILE, metrics)
        shutil.copyfile(best.folder / TASK_FILE, folder / TASK_FILE)  # last: it marks the folder as complete
    print(f"finished: {folder} (the best model, its metrics and predictions)", flush=True)
    return metrics


def trial_options(options: FinetuneOptions, rate: float, seed: int) -> FinetuneOptions:
    """The options of one run of a sweep."""
    name = f"rate_{rate:g}" + (f"_seed_{seed}" if seed != options.random_seed else "")
    return dataclasses.replace(
        options,
        sweep=False,
        seeds=1,
        learning_rates=(),
        learning_rate=rate,
        random_seed=seed,
        output_dir=str(Path(options.output_dir) / name),
        do_train=True,
        do_eval=True,
        do_predict=False,  # test must not be looked at before the choice is made
    )


def _trial(options: FinetuneOptions, share: finetuning.Share, stop: Stop | None, task: Task) -> Trial:
    metrics = finetuning.run(options, share, stop)
    score = metrics["dev"][task.main_metric]
    return Trial(options.learning_rate, options.random_seed, Path(options.output_dir), score, metrics)


def _line(trial: Trial, task: Task) -> str:
    stopped = f" (stopped after update {trial.metrics['stopped_after']:,})" if "stopped" in trial.metrics else ""
    return f"rate {trial.rate:g}, seed {trial.seed}: dev {task.main_metric} {task.shown(trial.score)}{stopped}"


def _spread(scores: list[float]) -> dict[str, float]:
    deviation = statistics.stdev(scores) if len(scores) > 1 else 0.0
    return {"mean": statistics.fmean(scores), "deviation": deviation, "runs": len(scores)}


class Losing:
    """Whether a run is clearly behind runs that are finished, after as many updates: a ``trainer.Stop``.

    Clearly: by more than two standard errors of the difference of two shares of the dev rows. It is asked from half of
    the updates on, when the rate of a schedule that falls to 0 has fallen to half and what is behind rarely gains.

    Args:
        logs: ``log.csv`` of the finished runs.
        task: whose main metric is compared; one that is no share of rows right (regression) ends no run.
    """

    def __init__(self, logs: Sequence[Path], task: Task):
        self.metric, self.shown = task.main_metric, task.shown
        curves = [dict(zip(*curve(log, "dev", self.metric), strict=True)) for log in logs] if task.labels else []
        self.last = max((max(points) for points in curves if points), default=0)
        self.best = {
            step: max(points[step] for points in curves if step in points) for step in set().union(*curves, ())
        }

    def __call__(self, step: int, scores: Mapping[str, float]) -> str:
        best = self.best.get(step)
        if best is None or 2 * step < self.last:
            return ""
        mine = scores[self.metric]
        variance = (best * (1 - best) + mine * (1 - mine)) / max(scores["rows"], 1)
        if best - mine <= 2 * math.sqrt(variance):
            return ""
        return f"dev {self.metric} {self.shown(mine)}, where another rate had {self.shown(best)}"
