"""Several learning rates and seeds, one finished folder: the best by dev; a stopped sweep goes on where it stopped."""

from __future__ import annotations

import dataclasses
import itertools
import math
import shutil
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from albert_zh import pretrained
from albert_zh.files import InputError, explained, read_json, write_json
from albert_zh.pretrained import TASK_FILE
from albert_zh.tasks import Task
from albert_zh.training import finetuning
from albert_zh.training.checkpoints import RUN_FILE, check_folder
from albert_zh.training.finetuning import finished_files
from albert_zh.training.logs import LOG_FILE, curve
from albert_zh.training.options import FinetuneOptions
from albert_zh.training.parallel import Pool, pool_for, processes_for
from albert_zh.training.setup import METRICS_FILE, Share
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
        task: what it learned.
        metrics: the content of its ``metrics.json``.
        behind_after: the update after which it was clearly behind the runs before it; 0: never.
    """

    rate: float
    seed: int
    folder: Path
    task: Task
    metrics: dict[str, Any]
    behind_after: int = 0

    @property
    def score(self) -> float:
        """Dev score of the main metric."""
        return self.metrics["dev"][self.task.main_metric]

    def summary(self) -> dict[str, Any]:
        """What is kept of it with the sweep."""
        kept = ("best_step", "steps", "stopped", "stopped_after", "seconds", "memory_mb")
        about = {name: self.metrics[name] for name in kept if name in self.metrics}
        if self.behind_after:
            about["behind_after"] = self.behind_after
        return {"rate": self.rate, "seed": self.seed, "score": self.score, "folder": self.folder.name, **about}


def run_sweep(options: FinetuneOptions, pool: Pool | None = None) -> dict[str, Any]:
    """Fine-tunes once a rate, then the best rate once a seed; then answers test with the best of them by dev alone.

    Each run has its folder in ``output_dir``; a run that is finished there is not done again. With early stop a run
    that is clearly behind those before it (``Losing``) is not chosen; where runs go side by side it is not ended, so
    that the choice is the same for any number of processes.

    Args:
        options: of the sweep.
        pool: processes that run it; left out, those that ``options.processes`` asks for.

    Returns:
        The best run's metrics, with ``sweep``: rate -> dev score of the main metric; ``trials``: one entry a run; and
        ``seeds``: mean, standard deviation (n - 1) and number of the dev scores of the best rate's seeds.

    Raises:
        InputError: what a single run raises, a rate that is no number, or a folder that holds a single run.
    """
    if pool is None:
        strategy = "tpu" if options.use_tpu else options.distribution_strategy
        with pool_for(processes_for(options.processes, strategy)) as own:
            return _run(options, own)
    return _run(options, pool)


def _run(options: FinetuneOptions, pool: Pool | None) -> dict[str, Any]:
    sweep = _Sweep(options, pool)
    try:
        return sweep.run()
    finally:
        sweep.share.close()


class _Sweep:
    def __init__(self, options: FinetuneOptions, pool: Pool | None):
        self.options, self.pool, self.share = options, pool, Share()
        self.folder, self.task = Path(options.output_dir), task_from(options)
        config = None if options.warm_start else options.bert_config_file or None
        source = pretrained.find(options.init_checkpoint, config) if options.init_checkpoint else None
        check_folder(self.folder, overwrite=options.overwrite, source=source)
        held = self.folder / RUN_FILE
        if held.exists() and not options.overwrite and read_json(held) != SWEEP:
            raise InputError(
                f"{self.folder}: holds a run of one learning rate. Give the sweep another --output_dir, or "
                "--overwrite=true."
            )
        # All options are made, and so checked, before the first run.
        self.runs = [trial_options(options, rate, options.random_seed) for rate in rates_of(options, self.task)]

    def run(self) -> dict[str, Any]:
        options, task = self.options, self.task
        trials = self._trials(self.runs, options.early_stop)
        behind = behind_after(trials, task) if options.early_stop else [0] * len(trials)
        trials = [dataclasses.replace(trial, behind_after=step) for trial, step in zip(trials, behind, strict=True)]
        best_rate = max((trial for trial in trials if not trial.behind_after), key=lambda trial: trial.score).rate
        seeds = range(options.random_seed + 1, options.random_seed + options.seeds)
        trials += self._trials([trial_options(options, best_rate, seed) for seed in seeds], False)
        of_best = [trial for trial in trials if trial.rate == best_rate]
        best = max(of_best, key=lambda trial: trial.score)
        print("\n" + "\n".join(_line(trial, task) for trial in trials))
        spread = _spread([trial.score for trial in of_best])
        said = f"; {len(of_best)} seeds: mean {task.shown(spread['mean'])} ± {task.shown(spread['deviation'])}"
        print(f"best: rate {best.rate:g}, seed {best.seed}{said if len(of_best) > 1 else ''}", flush=True)
        if options.do_predict:
            answering = trial_options(options, best.rate, best.seed)
            self._start(dataclasses.replace(answering, do_predict=True, overwrite=False))()
        metrics = read_json(best.folder / METRICS_FILE) | {
            "sweep": {f"{trial.rate:g}": trial.score for trial in trials[: len(self.runs)]},
            "trials": [trial.summary() for trial in trials],
            "seeds": spread,
        }
        self._keep(best, metrics)
        print(f"finished: {self.folder} (the best model, its metrics and predictions)", flush=True)
        return metrics

    def _trials(self, runs: Sequence[FinetuneOptions], early_stop: bool) -> list[Trial]:
        """The runs, all of them started before the first is waited for where there are processes for it."""
        logs = [Path(run.output_dir) / LOG_FILE for run in runs]

        def losing(number: int) -> Losing | None:
            return Losing(_curves(logs[:number], self.task), self.task) if early_stop and not self.pool else None

        waiting = [self._start(run, lambda number=number: losing(number)) for number, run in enumerate(runs)]
        trials = []
        for number, (run, wait) in enumerate(zip(runs, waiting, strict=True), 1):
            named = f"learning rate {run.learning_rate:g}, seed {run.random_seed} ({number} of {len(runs)})"
            if not self.pool:
                print(f"\n{named}", flush=True)
            metrics = wait()
            trials.append(Trial(run.learning_rate, run.random_seed, Path(run.output_dir), self.task, metrics))
            if self.pool:
                print(f"{self.task.name}: {named}: {self.task.shown(trials[-1].score)}", flush=True)
        return trials

    def _start(self, run: FinetuneOptions, stop: Callable[[], Stop | None] = lambda: None):
        """A function that waits for the metrics of a run; in this process it is the run."""
        return self.pool.train(run) if self.pool else lambda: finetuning.run(run, self.share, stop())

    def _keep(self, best: Trial, metrics: Mapping[str, Any]) -> None:
        """Makes the folder of the sweep that of its best run."""
        folder = self.folder
        write_json(folder / RUN_FILE, SWEEP)
        with explained(folder):
            earlier = [file for pattern in finished_files(self.task) for file in folder.glob(pattern)]
            for file in earlier:
                file.unlink()
            for file in sorted(best.folder.iterdir()):
                if file.is_file() and file.name not in (TASK_FILE, METRICS_FILE, RUN_FILE):
                    shutil.copyfile(file, folder / file.name)
            write_json(folder / METRICS_FILE, dict(metrics))
            shutil.copyfile(best.folder / TASK_FILE, folder / TASK_FILE)  # last: it marks the folder as complete


def trial_options(options: FinetuneOptions, rate: float, seed: int) -> FinetuneOptions:
    """The options of one run of a sweep."""
    name = f"rate_{rate:g}" + (f"_seed_{seed}" if seed != options.random_seed else "")
    return dataclasses.replace(
        options,
        sweep=False,
        seeds=1,
        processes=0,
        learning_rates=(),
        learning_rate=rate,
        random_seed=seed,
        output_dir=str(Path(options.output_dir) / name),
        do_train=True,
        do_eval=True,
        do_predict=False,  # test must not be looked at before the choice is made
    )


def _line(trial: Trial, task: Task) -> str:
    ended = ""
    if "stopped_after" in trial.metrics:
        ended = f" (stopped after update {trial.metrics['stopped_after']:,})"
    elif trial.behind_after:
        ended = f" (clearly behind after update {trial.behind_after:,}: not chosen)"
    return f"rate {trial.rate:g}, seed {trial.seed}: dev {task.main_metric} {task.shown(trial.score)}{ended}"


def _spread(scores: list[float]) -> dict[str, float]:
    deviation = statistics.stdev(scores) if len(scores) > 1 else 0.0
    return {"mean": statistics.fmean(scores), "deviation": deviation, "runs": len(scores)}


class Losing:
    """Whether a run is clearly behind runs that are finished, after as many updates: a ``trainer.Stop``.

    What counts is the best dev score until then, since the best weights are what is kept. Clearly: by more than two
    standard errors of the difference of two shares of the dev rows. It is asked from half of the updates on, when the
    rate of a schedule that falls to 0 has fallen to half and what is behind rarely gains.

    Args:
        curves: dev scores of the finished runs by update.
        task: whose main metric is compared; one that is no share of rows right, as a correlation, ends no run.
    """

    def __init__(self, curves: Sequence[Mapping[int, float]], task: Task):
        self.metric, self.shown = task.main_metric, task.shown
        curves = [points for points in curves if points] if task.main_metric == "accuracy" else []
        self.last = max((max(points) for points in curves), default=0)
        self.best: dict[int, float] = {}
        for points in map(_best_so_far, curves):
            for step, score in points.items():
                self.best[step] = max(score, self.best.get(step, score))

    def __call__(self, step: int, mine: float, scores: Mapping[str, float]) -> str:
        best = self.best.get(step)
        if best is None or 2 * step < self.last:
            return ""
        variance = (best * (1 - best) + mine * (1 - mine)) / max(scores["rows"], 1)
        if best - mine <= 2 * math.sqrt(variance):
            return ""
        return f"best dev {self.metric} {self.shown(mine)}, where another rate had {self.shown(best)}"


def _best_so_far(points: Mapping[int, float]) -> dict[int, float]:
    steps = sorted(points)
    return dict(zip(steps, itertools.accumulate((points[step] for step in steps), max), strict=True))


def _curves(logs: Sequence[Path], task: Task) -> list[dict[int, float]]:
    """Dev scores of the main metric by update, of each ``log.csv``."""
    return [dict(zip(*curve(log, "dev", task.main_metric), strict=True)) for log in logs]


def behind_after(trials: Sequence[Trial], task: Task) -> list[int]:
    """After which update each run is clearly behind those before it, 0 for never: what early stop does to runs that
    are made one after the other, found again in the logs of any."""
    curves: list[dict[int, float]] = []
    ends = []
    for trial, points in zip(trials, _curves([trial.folder / LOG_FILE for trial in trials], task), strict=True):
        losing, dev = Losing(curves, task), trial.metrics["dev"]
        looks = [look for look in _best_so_far(points).items() if look[0] < trial.metrics["steps"]]
        ends.append(next((step for step, best in looks if losing(step, best, dev)), 0))
        curves.append({step: score for step, score in points.items() if not ends[-1] or step <= ends[-1]})
    return ends
