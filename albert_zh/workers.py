"""Pools of local processes: errors arrive as they were raised, and Ctrl-C or a killed worker ends a pool cleanly."""

from __future__ import annotations

import importlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, TypeVar

from albert_zh.files import InputError
from albert_zh.terminal import standard_error_held

Spec = TypeVar("Spec")
Report = TypeVar("Report")


def available_cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def resident_bytes() -> int:
    """Memory this process holds; where the system does not tell, the most it has held so far; 0: not known."""
    try:
        with open("/proc/self/statm", encoding="ascii") as stream:
            return int(stream.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return most_resident_bytes()


def most_resident_bytes() -> int:
    """The most memory this process has held so far; 0: not known."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # kilobytes elsewhere


def run_all(function: Callable[[Spec], Report], specs: Sequence[Spec], num_workers: int) -> Iterator[Report]:
    """Yields ``function(spec)`` of every spec as each is done, in no fixed order; no processes for one worker.

    Raises:
        InputError: raised by the function, or a worker was killed.
    """
    workers = min(num_workers, len(specs))
    if workers <= 1:
        yield from map(function, specs)
        return
    advice = "finished shards are kept. If it happens again, lower --num_workers."
    with worker_pool(workers) as pool, worker_errors(advice):
        for future in as_completed([pool.submit(function, spec) for spec in specs]):
            yield future.result()


def call_in_process(function: str, *arguments: Any, advice: str) -> Any:
    """The value of a function called in a process of its own, which takes with it all the memory it came to hold.

    Args:
        function: "module:name", which the process imports; what libraries write meanwhile is not shown.
        arguments: sent to the process, as the value is sent back.
        advice: what to do if the process is killed.

    Raises:
        InputError: raised by the function, or the process was killed.
    """
    with worker_pool(1) as pool, worker_errors(advice):
        return pool.submit(_call, function, *arguments).result()


def _call(function: str, *arguments: Any) -> Any:
    with standard_error_held():
        found = imported(function)
    return found(*arguments)


def imported(function: str) -> Callable[..., Any]:
    """The function that "module:name" stands for."""
    module, _, name = function.partition(":")
    return getattr(importlib.import_module(module), name)


@contextmanager
def worker_errors(advice: str) -> Iterator[None]:
    """What was raised in a worker, or of its end, as a user is told it.

    Args:
        advice: what to do if the worker was killed.
    """
    try:
        yield
    except InputError as error:
        raise InputError(str(error)) from None  # without the traceback of the worker
    except BrokenProcessPool:
        raise InputError(
            "a worker process was killed, most often because the memory ran out. Give the same command again: " + advice
        ) from None


@contextmanager
def worker_pool(
    workers: int, prepare: Callable[..., None] | None = None, *arguments: Any
) -> Iterator[ProcessPoolExecutor]:
    """A pool whose processes start afresh and end with it: at once when it is left by an exception.

    Args:
        workers: processes at most.
        prepare: called with ``arguments`` in each process before anything else.
    """
    # "spawn": a fork would copy the caller's threads' locks.
    before = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), initializer=_start_worker, initargs=(prepare, *arguments)
    )
    finished = False
    try:
        yield pool
        finished = True
    finally:
        pool.shutdown(wait=finished, cancel_futures=True)
        if not finished:
            for child in set(multiprocessing.active_children()) - before:
                child.terminate()
                child.join()


def _start_worker(prepare: Callable[..., None] | None, *arguments: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends its workers
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    if prepare:
        prepare(*arguments)


def _end_with(sentinel: int) -> None:
    """A worker whose parent was killed would wait for work forever."""
    multiprocessing.connection.wait([sentinel])
    os._exit(1)
