"""Several learning rates, one finished folder: the best by dev; a stopped sweep goes on where it stopped."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

from albert_zh import pretrained
from albert_zh.files import InputError, explained, read_json, write_json
from albert_zh.tasks import get_task
from albert_zh.training import finetuning
from albert_zh.training.checkpoints import RUN_FILE, check_folder
from albert_zh.training.finetuning import METRICS_FILE, TASK_FILE, finished_files
from albert_zh.training.options import FinetuneOptions

#: What the run.json of a sweep's folder says; each rate's own folder holds the run.
SWEEP = {"kind": "sweep of learning rates"}


def _rates(options: FinetuneOptions) -> tuple[float, ...]:
    recipe = get_task(options.task_name).recipe
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


def run_sweep(options: FinetuneOptions) -> dict[str, Any]:
    """Fine-tunes once a rate into ``output_dir/rate_RATE``, choosing by dev; then answers test with the best alone.

    Returns:
        The best run's metrics, with ``sweep``: rate -> dev score of the main metric.

    Raises:
        InputError: what a single run raises, a rate that is no number, or a folder that holds a single run.
    """
    folder, task = Path(options.output_dir), get_task(options.task_name)
    config = None if options.warm_start else options.bert_config_file or None
    source = pretrained.find(options.init_checkpoint, config) if options.init_checkpoint else None
    check_folder(folder, overwrite=options.overwrite, source=source)
    if (folder / RUN_FILE).exists() and not options.overwrite and read_json(folder / RUN_FILE) != SWEEP:
        raise InputError(
            f"{folder}: holds a run of one learning rate. Give the sweep another --output_dir, or --overwrite=true."
        )
    # All options are made, and so checked, before the first run.
    runs = {
        rate: dataclasses.replace(
            options,
            sweep=False,
            learning_rates=(),
            learning_rate=rate,
            output_dir=str(folder / f"rate_{rate:g}"),
            do_train=True,
            do_eval=True,
            do_predict=False,  # test must not be looked at before the choice is made
        )
        for rate in _rates(options)
    }
    scores: dict[float, float] = {}
    for number, (rate, rate_options) in enumerate(runs.items(), 1):
        print(f"\nlearning rate {rate:g} ({number} of {len(runs)})", flush=True)
        scores[rate] = finetuning.run(rate_options)["dev"][task.main_metric]
    best = max(scores, key=scores.__getitem__)
    print("\n" + "\n".join(f"rate {rate:g}: dev {task.main_metric} {score:.2%}" for rate, score in scores.items()))
    print(f"best: {best:g}", flush=True)
    best_folder = Path(runs[best].output_dir)
    if options.do_predict:
        finetuning.run(dataclasses.replace(runs[best], do_predict=True, overwrite=False))
    metrics = read_json(best_folder / METRICS_FILE) | {"sweep": {f"{rate:g}": score for rate, score in scores.items()}}
    write_json(folder / RUN_FILE, SWEEP)
    with explained(folder):
        for file in (file for pattern in finished_files(task) for file in folder.glob(pattern)):  # of an earlier best
            file.unlink()
        for file in sorted(best_folder.iterdir()):
            if file.is_file() and file.name not in (TASK_FILE, METRICS_FILE, RUN_FILE):
                shutil.copyfile(file, folder / file.name)
        write_json(folder / METRICS_FILE, metrics)
        shutil.copyfile(best_folder / TASK_FILE, folder / TASK_FILE)  # last: it marks the folder as complete
    print(f"finished: {folder} (the best model, its metrics and predictions)", flush=True)
    return metrics
