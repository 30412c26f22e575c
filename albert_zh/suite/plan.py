"""What is to be run: tasks with their data, rates and seeds, how many updates, and about how long that takes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from albert_zh.files import InputError
from albert_zh.hub.catalog import DATASETS
from albert_zh.hub.download import default_home, fetch
from albert_zh.suite.options import SuiteOptions
from albert_zh.tasks import TASKS, Task, get_task, glue
from albert_zh.terminal import aligned
from albert_zh.training.options import FinetuneOptions
from albert_zh.training.probe import measure_rows
from albert_zh.training.sweep import rates_of

#: The tasks of the CLUE leaderboard.
CLUE = ("afqmc", "tnews", "iflytek", "ocnli", "cmnli", "cluewsc2020", "csl", "cmrc2018", "chid", "c3")
#: Those of the GLUE leaderboard.
GLUE = tuple(task.name for task in glue.GLUE)


@dataclass(frozen=True)
class Benchmark:
    """Tasks that are run together.

    Attributes:
        tasks: those run where none are named.
        script: that runs them.
        packed: those whose answers go into the archive its leaderboard takes.
        archive: its name.
    """

    tasks: tuple[str, ...]
    script: str
    packed: tuple[str, ...] = ()
    archive: str = ""


BENCHMARKS = {
    # The last two have leaderboards of their own.
    "clue": Benchmark((*CLUE, "cluener", "drcd"), "run_classifier_clue.sh", CLUE, "submit.zip"),
    "glue": Benchmark(GLUE, "run_glue.sh", GLUE, "glue_submit.zip"),
    "squad": Benchmark(("squad1", "squad2"), "run_squad.sh"),
}
#: The rows written for this project, in the checkout this code lies in.
SAMPLES = Path(__file__).parents[2] / "data"
#: Looks at dev in an epoch of the default, and how much cheaper a token is there than in an update.
_LOOKS, _FORWARD = 4, 1 / 3
#: Seconds of a run that are not updates: loading the weights, tracing the step, writing the model.
_FIXED_SECONDS = 8.0


@dataclass(frozen=True)
class Job:
    """One task of the suite.

    Attributes:
        task: of the table.
        options: of its sweep.
        rows: split to number of rows.
        tokens: split to tokens of one pass over it, no padding.
        examples: sequences of the training rows, or groups of them that are answered together.
        rates: learning rates that are tried.
        seeds: runs of the best rate.
    """

    task: Task
    options: FinetuneOptions
    rows: dict[str, int]
    tokens: dict[str, int]
    examples: int
    rates: tuple[float, ...]
    seeds: int

    @property
    def runs(self) -> int:
        return len(self.rates) + self.seeds - 1

    @property
    def epochs(self) -> float:
        return self.options.num_train_epochs or self.task.recipe.epochs

    @property
    def batch_size(self) -> int:
        return self.options.train_batch_size or self.task.recipe.batch_size

    @property
    def updates(self) -> int:
        """Of one run."""
        return max(math.ceil(math.ceil(self.examples / self.batch_size) * self.epochs), 1)

    def seconds(self, speed: float) -> float:
        """About how long all runs take at ``speed`` tokens a second of an update; runs ended early not counted."""
        training = self.tokens["train"] * self.epochs
        looking = self.tokens["dev"] * _LOOKS * max(self.epochs, 1) * _FORWARD
        return self.runs * (_FIXED_SECONDS + (training + looking) / speed)


def task_names(given: Sequence[str], benchmark: str = "clue") -> tuple[str, ...]:
    """The tasks asked for, each once: the benchmark's without any, every one of the table for "all", and those of a
    benchmark for its name.

    Raises:
        InputError: there is no task of a name.
    """
    groups = {"all": [task.name for task in TASKS.values()]} | {name: each.tasks for name, each in BENCHMARKS.items()}
    names = [name for word in given or [benchmark] for name in groups.get(word.lower(), [word])]
    return tuple(dict.fromkeys(get_task(name).name for name in names))


def make_job(name: str, options: SuiteOptions, model: str, alone: bool) -> Job:
    """The job of one task, after its data were found, read and measured.

    Args:
        name: of the task.
        options: of the suite.
        model: what the runs start from; empty: random weights.
        alone: it is the only task, whose files may lie in ``data_dir`` itself.

    Raises:
        InputError: the data are not there, cannot be fetched, or hold a row that cannot be used.
    """
    task = get_task(name)
    data = _data(task, options, alone)
    run = FinetuneOptions(
        task_name=name,
        output_dir=str(Path(options.output_dir) / name),
        data_dir=str(data),
        init_checkpoint=model,
        do_train=True,
        do_eval=True,
        do_predict=bool(task.tests(data)),
        sweep=True,
        processes=1,  # those of the suite run it, if there are any
        overwrite=not options.resume,
        # A sweep of one rate is what a single run is: seeds and test answers follow.
        learning_rates=options.learning_rates or (() if options.sweep else (repr(task.recipe.learning_rate),)),
        **{
            field: getattr(options, field)
            for field in (
                "bert_config_file vocab_file spm_model_file do_lower_case few_shot max_seq_length train_batch_size "
                "micro_batch_size num_train_epochs optimizer precision jit_compile random_seed seeds early_stop prompt"
            ).split()
        },
    )
    rows, tokens, examples = measure_rows(run)
    return Job(task, run, rows, tokens, examples, rates_of(run, task), options.seeds)


def _data(task: Task, options: SuiteOptions, alone: bool) -> Path:
    if options.sample:
        return SAMPLES / task.name
    if not options.data_dir:
        if task.name not in DATASETS:
            raise InputError(f"{task.name}: no public address is known. Give its folder with --data_dir.")
        return fetch(DATASETS[task.name], default_home())
    folder = Path(options.data_dir)
    if (folder / task.name).is_dir():
        return folder / task.name
    for child in sorted(folder.iterdir()) if folder.is_dir() else ():
        if child.is_dir() and TASKS.get(child.name.lower()) is task:  # as published: CoLA, STS-B
            return child
    if alone and task.has("train", folder):
        return folder
    raise InputError(f"{folder}: no folder {task.name} in it, with the files of that task. Put them there.")


def table(jobs: Sequence[Job], speed: float) -> str:
    """The plan as a table for the terminal; ``speed`` in tokens a second."""
    head = ("task", "train", "dev", "test", "length", "batch", "rates", "seeds", "updates", "about")
    body = []
    for job in jobs:
        tests = sum(count for split, count in job.rows.items() if split.startswith("test"))
        body.append(
            (
                job.task.name,
                f"{job.rows['train']:,}",
                f"{job.rows['dev']:,}",
                f"{tests:,}",
                str(job.options.max_seq_length or job.task.recipe.max_seq_length),
                str(job.batch_size),
                ",".join(f"{rate:g}" for rate in job.rates),
                str(job.seeds),
                f"{job.runs} x {job.updates:,}",
                duration(job.seconds(speed)),
            )
        )
    return "\n".join(aligned(head, body, left=("task", "rates")))


def duration(seconds: float) -> str:
    """A time in the two units a person would say.

    >>> duration(42), duration(200), duration(8000)
    ('42 s', '3 min 20 s', '2 h 13 min')
    """
    if round(seconds) < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
