"""``clue``: plan, check everything, run task after task, keep what is finished, write submission and report."""

from __future__ import annotations

import contextlib
import io
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from albert_zh import pretrained
from albert_zh.files import InputError
from albert_zh.report import collect
from albert_zh.suite import plan
from albert_zh.suite.options import SuiteOptions
from albert_zh.suite.plan import Job
from albert_zh.suite.results import Result, overview, trials_table, write_results
from albert_zh.suite.submit import Answers, write_submission_zip
from albert_zh.training import sweep
from albert_zh.training.probe import measure_speed


def run(options: SuiteOptions) -> list[Result]:
    """Runs the tasks of the options; a task that fails does not stop the others.

    Returns:
        What came of the tasks that finished.

    Raises:
        InputError: the model cannot be used, or, after everything else was done, what went wrong with which task.
    """
    names = plan.task_names(options.tasks)
    model = _model(options)
    jobs, failures = [], {}
    for name in names:
        try:
            jobs.append(plan.make_job(name, options, model, len(names) == 1))
        except InputError as error:
            failures[name] = str(error)
    if jobs:
        speed = _speed(jobs)
        total = plan.duration(sum(job.seconds(speed) for job in jobs))
        print(plan.table(jobs, speed))
        print(f"{sum(job.runs for job in jobs)} runs, about {total} at {speed:,.0f} tokens a second", flush=True)
    for name, reason in failures.items():
        print(f"{name}: left out: {reason}", flush=True)
    if options.dry_run:
        _raise(failures, len(names))
        return []
    folder, results = Path(options.output_dir), []
    settings = {"model": options.model, "seeds": options.seeds, "sweep": options.sweep, "sample": options.sample}
    for number, job in enumerate(jobs, 1):
        print(f"\n=== {job.task.name} ({number} of {len(jobs)}): {job.task.about}", flush=True)
        try:
            results.append(Result(job, sweep.run_sweep(job.options)))
        except Exception as error:  # whatever it is, the other tasks are run; Ctrl-C is no Exception
            failures[job.task.name] = str(error) or type(error).__name__
            print(f"{job.task.name}: failed: {failures[job.task.name]}", file=sys.stderr, flush=True)
            if not isinstance(error, InputError):
                traceback.print_exc()
        write_results(folder, results, failures, settings)
    if results:
        _finish(folder, results, failures, options)
    _raise(failures, len(names))
    return results


def _model(options: SuiteOptions) -> str:
    """What runs start from, found once; empty for random weights."""
    if options.model == "none":
        return ""
    source = pretrained.find(options.model, options.bert_config_file or None)
    config = source.config
    shape = f"{config.family}, {config.num_hidden_layers} layers, hidden {config.hidden_size}"
    print(f"model: {source.where} ({shape})", flush=True)
    given = options.spm_model_file or options.vocab_file
    pretrained.vocabulary_of(source, given or None, "--spm_model_file" if options.spm_model_file else "--vocab_file")
    return source.where  # unpacked or fetched, which no run does again


def _speed(jobs: Sequence[Job]) -> float:
    """Tokens a second of an update, from a few of them on the task with the longest rows."""
    longest = max(jobs, key=lambda job: job.tokens["train"] / max(job.rows["train"], 1))
    with contextlib.redirect_stdout(io.StringIO()):
        return measure_speed(longest.options)


def _finish(folder: Path, results: Sequence[Result], failures: dict[str, str], options: SuiteOptions) -> None:
    table = overview(results, failures)
    print("\n" + "\n".join("  ".join(row) for row in table.rows), flush=True)
    answers = [
        Answers(result.job.task, split, result.folder, Path(result.job.options.data_dir))
        for result in results
        if result.job.task.submission and result.job.task.name in plan.CLUE
        for split in result.job.task.submission.files
        if result.job.task.has(split, result.job.options.data_dir)
    ]
    if answers:
        names = write_submission_zip(folder / "submit.zip", answers)
        print(f"submission: {folder / 'submit.zip'} ({', '.join(names)})", flush=True)
    words = " ".join(result.job.task.name for result in results)
    collect.run(
        collect.ReportOptions(
            output_file=str(folder / "report.html"),
            finetuned_dir=tuple(str(result.folder) for result in results),
            title="CLUE: 各任务成绩 Scores of all tasks",
            command=(f"再跑一遍 Run again=bash run_classifier_clue.sh {words} --model={options.model}",),
        ),
        overview=(table, trials_table(results)),
    )


def _raise(failures: dict[str, str], tasks: int) -> None:
    if failures:
        reasons = "\n".join(f"  {name}: {reason}" for name, reason in failures.items())
        raise InputError(f"{len(failures)} of {tasks} tasks did not finish:\n{reasons}")
