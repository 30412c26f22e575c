"""Runs side by side: a process for each GPU, in which TensorFlow is loaded once and the runs of a task share."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from albert_zh.training.options import FinetuneOptions
from albert_zh.workers import imported, worker_errors, worker_pool

#: Of the user: which GPUs this process may use; each worker is left one of them.
_VISIBLE = "CUDA_VISIBLE_DEVICES"


class Pool:
    """Processes that fine-tune; see ``pool_for``."""

    def __init__(self, executor: ProcessPoolExecutor, processes: int):
        self._executor, self.processes = executor, processes

    def call(self, log: Path, function: str, *arguments: Any) -> Callable[[], Any]:
        """Starts a function in a free process; what is returned waits for its value, or raises its error.

        Args:
            log: gets what is printed there.
            function: "module:name", which the process imports after it was told where to print.

        Raises (when waited for):
            InputError: the function's, or the process was killed.
        """
        future = self._executor.submit(_logged, log, function, *arguments)

        def value() -> Any:
            with worker_errors("finished runs are kept. If it happens again, lower --processes."):
                return future.result()

        return value

    def train(self, options: FinetuneOptions) -> Callable[[], dict[str, Any]]:
        """Starts ``finetuning.run`` in a free process; what it prints goes into a file beside the run's folder."""
        folder = Path(options.output_dir)
        return self.call(folder.parent / f"{folder.name}.log", f"{__name__}:_train", options)


def processes_for(processes: int, strategy: str = "auto") -> int:
    """How many runs go side by side: what was asked for, else one for each of several GPUs, else one.

    Args:
        processes: asked for; 0: not said.
        strategy: a ``--distribution_strategy`` other than "auto" wants the devices for one run, as several machines do.
    """
    if processes:
        return processes
    import tensorflow as tf  # here, so that a worker chooses its GPU before TensorFlow is loaded

    from albert_zh.training.strategy import workers_in_environment

    if strategy != "auto" or workers_in_environment() > 1:
        return 1
    return max(len(tf.config.list_physical_devices("GPU")), 1)  # looks, and takes nothing


@contextlib.contextmanager
def pool_for(processes: int) -> Iterator[Pool | None]:
    """A pool of so many processes, each with a GPU of its own where there are as many; None for one, which is this one.

    The GPUs are left to them: nothing else in this process may use one.
    """
    if processes == 1:
        yield None
        return
    import tensorflow as tf

    gpus = len(tf.config.list_physical_devices("GPU"))
    if gpus:
        tf.config.set_visible_devices([], "GPU")
    names = (os.environ.get(_VISIBLE) or ",".join(map(str, range(gpus)))).split(",")[:gpus]
    turns = multiprocessing.get_context("spawn").Queue()
    for number in range(processes):
        turns.put(names[number % gpus] if gpus else "")
    with worker_pool(processes, _take_device, turns, processes > gpus) as executor:
        yield Pool(executor, processes)


def _take_device(turns, shared: bool) -> None:
    if name := turns.get():
        os.environ[_VISIBLE] = name
        if shared:
            os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"


#: Of this process: what the runs of one task share, by the folder of its sweep.
_share: dict[str, Any] = {}


def _train(options: FinetuneOptions) -> dict[str, Any]:
    from albert_zh.training import finetuning
    from albert_zh.training.setup import Share

    sweep = str(Path(options.output_dir).parent)
    if sweep not in _share:
        for other in _share.values():  # one task at a time
            other.close()
        _share.clear()
        _share[sweep] = Share()
    return finetuning.run(options, _share[sweep])


def _logged(log: Path, function: str, *arguments: Any) -> Any:
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "a", encoding="utf-8") as stream:
        for number in (1, 2):  # what TensorFlow's own code prints too
            os.dup2(stream.fileno(), number)
    try:
        return imported(function)(*arguments)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
