"""The loop over the steps of a run, for pretraining and fine-tuning: resume, log, evaluate, keep the best, save."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf

from albert_zh.convert import tensorflow1, weights
from albert_zh.files import InputError
from albert_zh.training.batches import prefetched
from albert_zh.training.checkpoints import Checkpoints
from albert_zh.training.logs import LOG_FILE, RunLog, curve, logged, progress_bar, say
from albert_zh.training.loop import Loop, NonFiniteError
from albert_zh.training.strategy import meet

Scores = dict[str, float]
Stop = Callable[[int, float, Scores], str]


@dataclass(frozen=True)
class Plan:
    """What one run does.

    Attributes:
        steps: updates in all.
        batch: step -> the batch of that update, from ``Loop.distribute``; a function of the step alone.
        rate: updates made so far -> learning rate.
        describe_batch: step -> which rows it holds, for the message about a loss that is not finite.
        evaluate: measures dev; None: there is no dev.
        quality: dev scores -> one number, higher is better, by which the best weights are kept.
        line: scores -> the words printed.
        evaluate_every: updates between two looks at dev and between two checkpoints.
        log_every: updates averaged into one row of the log, at most (a row ends at a checkpoint as well).
        evaluate_first: look at dev before the first update (weights that come from somewhere).
        stop: updates made, best dev quality until then and dev scores then -> why the run ends there, empty to go on;
            a function of these alone, so that a resumed run ends where one left alone does.
    """

    steps: int
    batch: Callable[[int], Mapping[str, tf.Tensor]]
    rate: Callable[[int], float]
    describe_batch: Callable[[int], str]
    evaluate: Callable[[], Scores] | None
    quality: Callable[[Scores], float]
    line: Callable[[Scores], str]
    evaluate_every: int
    log_every: int
    evaluate_first: bool = False
    stop: Stop | None = None


@dataclass
class Outcome:
    """What came of a run.

    Attributes:
        best_quality: the best dev quality.
        best_step: the update it was seen after.
        seconds: of all updates.
        step: updates made.
        stopped: why it ended before the plan's last update; empty when it did not.
    """

    best_quality: float = math.nan
    best_step: int = 0
    seconds: float = 0.0
    step: int = 0
    stopped: str = ""


def train(loop: Loop, plan: Plan, checkpoints: Checkpoints, *, chief: bool = True, name: str = "update") -> Outcome:
    """Runs the plan from where ``checkpoints`` stands to its end; weights after it are those of the last update.

    The best weights by dev lie under ``checkpoints.best_prefix``.

    Args:
        loop: the compiled step and evaluation.
        plan: what to run.
        checkpoints: where the run is kept.
        chief: whether this process writes files.
        name: unit of the progress bar.

    Raises:
        InputError: the loss or gradient is not finite; the last checkpoint stands.
    """
    meet(loop.strategy)  # the folder is claimed
    saved = checkpoints.latest()
    start, outcome = 0, Outcome()
    if saved:
        start, outcome.best_quality, outcome.best_step = saved.step, saved.best, saved.best_step
        loop.restore({key: weights.from_tf1(key, array) for key, array in saved.arrays.items()})
        print(f"going on after update {start:,} of {checkpoints.folder}", flush=True)
        if plan.stop and start < plan.steps:  # killed between its last look at dev and its end
            outcome.stopped = plan.stop(
                start, outcome.best_quality, logged(checkpoints.folder / LOG_FILE, "dev", start)
            )
    outcome.step = start
    log = RunLog(checkpoints.folder, start, write=chief)
    if plan.evaluate and plan.evaluate_first and not saved:
        scores = plan.evaluate()
        log.add(0, "dev", scores)
        print(f"dev before the first update: {plan.line(scores)}", flush=True)
    bar = progress_bar(plan.steps, start, name, quiet=not chief)
    results, since = [], time.monotonic()
    try:
        for step, batch in prefetched(plan.batch, start, start if outcome.stopped else plan.steps):
            try:
                results.append(loop.step(batch, step, plan.rate(step)))
            except NonFiniteError as error:
                raise InputError(
                    f"{error} ({plan.describe_batch(step)}). The weights were left as they were before it. "
                    f"Try a lower --learning_rate (now {plan.rate(step):.3g}) or a longer warm-up."
                ) from error
            done = step + 1
            bar.update(1)
            # A row ends at every checkpoint too: a resumed run then averages over the same updates.
            if done % plan.log_every == 0 or done % plan.evaluate_every == 0 or done == plan.steps:
                row = {key: sum(result[key] for result in results) / len(results) for key in results[0]}
                bar.set_postfix_str(plan.line(row), refresh=False)
                row |= {
                    "learning_rate": plan.rate(step),
                    "updates_per_second": len(results) / (time.monotonic() - since),
                }
                log.add(done, "train", row)
                results, since = [], time.monotonic()
            if done % plan.evaluate_every and done != plan.steps:
                continue
            pause = time.monotonic()
            better = False
            if plan.evaluate:
                scores = plan.evaluate()
                log.add(done, "dev", scores)
                quality = plan.quality(scores)
                better = not quality <= outcome.best_quality  # true as well while there is no best
                if better:
                    outcome.best_quality, outcome.best_step = quality, done
                say(bar, f"update {done:,}: dev {plan.line(scores)}{' (best)' if better else ''}")
            if chief:
                log.sync()
                _save(loop, checkpoints, done, outcome, better)
            outcome.step = done
            if plan.evaluate and plan.stop and done < plan.steps:
                outcome.stopped = plan.stop(done, outcome.best_quality, scores)
            if outcome.stopped:
                say(bar, f"stopped after update {done:,} of {plan.steps:,}: {outcome.stopped}")
                break
            since += time.monotonic() - pause  # the rate logged is that of the updates alone
    finally:
        bar.close()
        log.close()
    meet(loop.strategy)  # the chief's last files are written
    outcome.seconds = _seconds_of_updates(checkpoints.folder / LOG_FILE)
    return outcome


def _seconds_of_updates(log: Path) -> float:
    """Time of all updates, those of a process killed before included; looks at dev and checkpoints left out."""
    steps, rates = curve(log, "train", "updates_per_second")
    return sum((step - before) / rate for before, step, rate in zip([0, *steps], steps, rates, strict=False))


def _save(loop: Loop, checkpoints: Checkpoints, step: int, outcome: Outcome, better: bool) -> None:
    # The best first: a crash between the two leaves a run that finds the same best again.
    if better:
        tensorflow1.save_weights(loop.model, checkpoints.best_prefix)
    arrays = {key: weights.to_tf1(key, array) for key, array in loop.state().items()}
    checkpoints.save(step, arrays, outcome.best_quality, outcome.best_step)


def finished_weights(loop: Loop, checkpoints: Checkpoints) -> None:
    """Puts the best weights by dev into the model, where a dev set chose some; else leaves those of the last update."""
    if Path(f"{checkpoints.best_prefix}.index").exists():
        tensorflow1.load_weights(loop.model, checkpoints.best_prefix)
