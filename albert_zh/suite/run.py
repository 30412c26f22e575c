"""``clue``: plan, check everything, run task after task, keep what is finished, write submission and report."""

from __future__ import annotations

import contextlib
import io
import shlex
import sys
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from albert_zh import pretrained
from albert_zh.files import InputError
from albert_zh.report import collect
from albert_zh.suite import plan
from albert_zh.suite.options import SuiteOptions
from albert_zh.suite.plan import Job
from albert_zh.suite.results import Result, overview, trials_table, write_results
from albert_zh.suite.submit import Answers, write_submission_zip
from albert_zh.terminal import aligned
from albert_zh.training import sweep
from albert_zh.training.parallel import Pool, pool_for, processes_for
from albert_zh.training.probe import measure_speed
from albert_zh.workers import call_in_process

_KILLED = "finished runs are kept. If it happens again, lower --train_batch_size or --max_seq_length."


def run(options: SuiteOptions) -> list[Result]:
    """Runs the tasks of the options; a task that fails does not stop the others.

    Returns:
        What came of the tasks that finished.

    Raises:
        InputError: the model cannot be used, or, after everything else was done, what went wrong with which task.
    """
    with pool_for(processes_for(options.processes)) as pool:
        return _run(options, pool)


def _run(options: SuiteOptions, pool: Pool | None) -> list[Result]:
    names = plan.task_names(options.tasks, options.benchmark)
    model = _model(options)
    jobs, failures = [], {}
    for name in names:
        try:
            jobs.append(plan.make_job(name, options, model, len(names) == 1))
        except InputError as error:
            failures[name] = str(error)
    folder, results = Path(options.output_dir), []
    if jobs:
        speed = _speed(jobs, folder, pool)
        at_once = min(pool.processes, sum(job.runs for job in jobs)) if pool else 1
        total = plan.duration(sum(job.seconds(speed) for job in jobs) / at_once)
        print(plan.table(jobs, speed))
        runs = f"{sum(job.runs for job in jobs)} runs" + (f", {at_once} side by side" if pool else "")
        print(f"{runs}, about {total} at {speed:,.0f} tokens a second", flush=True)
    for name, reason in failures.items():
        print(f"{name}: left out: {reason}", flush=True)
    if options.dry_run:
        _raise(failures, len(names))
        return []
    settings = {"model": options.model, "seeds": options.seeds, "sweep": options.sweep, "sample": options.sample}
    for job, outcome in _outcomes(jobs, pool):
        if isinstance(outcome, Exception):
            failures[job.task.name] = str(outcome) or type(outcome).__name__
            print(f"{job.task.name}: failed: {failures[job.task.name]}", file=sys.stderr, flush=True)
            if not isinstance(outcome, InputError):
                traceback.print_exception(outcome)
        else:
            results.append(Result(job, outcome))
            results.sort(key=lambda result: names.index(result.job.task.name))
        write_results(folder, results, failures, settings)
    if results:
        _finish(folder, results, failures, options)
    _raise(failures, len(names))
    return results


def _outcomes(jobs: Sequence[Job], pool: Pool | None) -> Iterator[tuple[Job, dict[str, Any] | Exception]]:
    """Each job with its metrics, or with what went wrong, as it ends: whatever it is, the others are run."""

    def outcome(job: Job) -> dict[str, Any] | Exception:
        try:
            if pool:
                return sweep.run_sweep(job.options, pool)
            # What TensorFlow compiled for a task stays in the process: of thirteen tasks, gigabytes.
            return call_in_process("albert_zh.training.sweep:run_sweep", job.options, advice=_KILLED)
        except Exception as error:  # Ctrl-C is none
            return error

    if pool is None:
        for number, job in enumerate(jobs, 1):
            print(f"\n=== {job.task.name} ({number} of {len(jobs)}): {job.task.about}", flush=True)
            yield job, outcome(job)
        return
    with ThreadPoolExecutor(len(jobs) or 1) as threads:  # they wait for the processes
        started = {threads.submit(outcome, job): job for job in jobs}
        for future in as_completed(started):
            yield started[future], future.result()


def _model(options: SuiteOptions) -> str:
    """What runs start from, found once; empty for random weights."""
    if options.model == "none":
        return ""
    source = pretrained.find(options.model, options.bert_config_file or None)
    config = source.config
    shape = f"{config.family}, {config.num_hidden_layers} layers, hidden {config.hidden_size}"
    print(f"model: {source.where} ({shape})", flush=True)
    pretrained.tokenizer_of(source, vocab_file=options.vocab_file, spm_model_file=options.spm_model_file)  # or raises
    return source.where  # unpacked or fetched, which no run does again


def _speed(jobs: Sequence[Job], folder: Path, pool: Pool | None) -> float:
    """Tokens a second of an update, from a few of them on the task with the longest rows."""
    longest = max(jobs, key=lambda job: job.tokens["train"] / max(job.rows["train"], 1))
    if pool:
        return pool.call(folder / "probe.log", "albert_zh.training.probe:measure_speed", longest.options)()
    with contextlib.redirect_stdout(io.StringIO()):
        return measure_speed(longest.options)


def _finish(folder: Path, results: Sequence[Result], failures: dict[str, str], options: SuiteOptions) -> None:
    table = overview(results, failures)
    head = [name.partition(" ")[2] for name in table.header]  # the English half
    print("", *aligned(head, table.rows, left=("task", "published (dev/test)")), sep="\n", flush=True)
    for benchmark in plan.BENCHMARKS.values():
        answers = [
            Answers(result.job.task, split, result.folder, Path(result.job.options.data_dir))
            for result in results
            if result.job.task.submission and result.job.task.name in benchmark.packed
            for split in result.job.task.submission.files
            if result.job.task.has(split, result.job.options.data_dir)
        ]
        if answers:
            archive = folder / benchmark.archive
            print(f"submission: {archive} ({', '.join(write_submission_zip(archive, answers))})", flush=True)
    words = " ".join(result.job.task.name for result in results)
    script = plan.BENCHMARKS[options.benchmark].script
    collect.run(
        collect.ReportOptions(
            output_file=str(folder / "report.html"),
            finetuned_dir=tuple(str(result.folder) for result in results),
            title=f"{options.benchmark.upper()}: 各任务成绩 Scores of all tasks",
            command=(f"再跑一遍 Run again=bash {script} {words} {_start(options)}",),
        ),
        overview=(table, trials_table(results)),
    )


def _start(options: SuiteOptions) -> str:
    """The flags that say where rows and weights come from."""
    names = ("model", "bert_config_file", "vocab_file", "spm_model_file", "data_dir")
    given = [f"--{name}={shlex.quote(value)}" for name in names if (value := getattr(options, name))]
    return " ".join([*given, *(["--sample"] if options.sample else [])])


def _raise(failures: dict[str, str], tasks: int) -> None:
    if failures:
        reasons = "\n".join(f"  {name}: {reason}" for name, reason in failures.items())
        raise InputError(f"{len(failures)} of {tasks} tasks did not finish:\n{reasons}")
