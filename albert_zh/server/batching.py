"""Requests that wait for the same model, computed together: one queue and one thread a model."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from albert_zh.server.limits import Limits, busy

#: Answers to rows, one each, in order.
Compute = Callable[[list[Any]], Sequence[Any]]


@dataclass
class Job:
    """One request's rows, and where their answers go.

    Attributes:
        kind: jobs of the same kind may be computed together.
        compute: answers rows of this kind.
        rows: what is asked.
        future: gets the list of answers, or the error.
    """

    kind: Hashable
    compute: Compute
    rows: list[Any]
    future: Future = field(default_factory=Future)


class Batcher:
    """Answers jobs in the order they came, several at once where they wait together.

    While one batch is computed the next one gathers by itself. A batch waits at most ``limits.wait_ms`` until as many
    requests are there as the batch before it had: so one client alone never waits, and many clients, who come back at
    about the same time, are answered together. Rows that cannot be computed fail alone: if a batch raises, each of its
    jobs is computed by itself.

    Args:
        limits: ``batch_size``, ``wait_ms`` and ``queue`` count.
        told: called with the number of rows of every batch.
    """

    def __init__(self, name: str, limits: Limits, told: Callable[[int], None] = lambda rows: None):
        self._limits, self._told = limits, told
        self._jobs: deque[Job] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._last = 1  # requests of the batch before
        self._thread = threading.Thread(target=self._work, name=f"answers {name}", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Rows in the queue."""
        with self._changed:
            return self._rows()

    def submit(self, kind: Hashable, compute: Compute, rows: list[Any]) -> Future:
        """A future of the answers to ``rows``. Cancelled before its turn, it costs nothing.

        Raises:
            Refused: 503, the queue is full or the server stops.
        """
        job = Job(kind, compute, rows)
        with self._changed:
            if self._closed:
                raise busy("The server is stopping. Ask another one.")
            if self._rows() + len(rows) > self._limits.queue:
                raise busy(f"{self._rows()} texts wait already. Ask again later.")
            self._jobs.append(job)
            self._changed.notify()
        return job.future

    def close(self, timeout: float) -> bool:
        """Takes no more jobs and waits until those in hand are answered; False: ``timeout`` seconds were too few."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _rows(self) -> int:
        return sum(len(job.rows) for job in self._jobs if not job.future.cancelled())

    def _work(self) -> None:
        while batch := self._next():
            self._answer(batch)
            del batch  # the answers are the clients' now, not this thread's until the next request

    def _next(self) -> list[Job]:
        """Jobs of one kind, those that waited longest; empty when closed and done."""
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._closed)
            until = time.monotonic() + self._limits.wait_ms / 1000
            while not self._closed and len(self._jobs) < self._last and self._rows() < self._limits.batch_size:
                left = until - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    break
            batch: list[Job] = []
            others: list[Job] = []
            rows = 0
            while self._jobs and rows < self._limits.batch_size:
                job = self._jobs.popleft()
                if batch and (job.kind != batch[0].kind or rows + len(job.rows) > self._limits.batch_size):
                    others.append(job)
                else:
                    batch.append(job)
                    rows += len(job.rows)
            self._jobs.extendleft(reversed(others))
            self._last = len(batch)
            return batch

    def _answer(self, batch: list[Job]) -> None:
        live = [job for job in batch if job.future.set_running_or_notify_cancel()]
        if not live:
            return
        rows = [row for job in live for row in job.rows]
        self._told(len(rows))
        try:
            answers = live[0].compute(rows)
            if len(answers) != len(rows):
                raise RuntimeError(f"{len(rows)} rows got {len(answers)} answers")
        except Exception as error:
            if len(live) == 1:
                live[0].future.set_exception(error)
                return
            for job in live:
                _answer_alone(job)
            return
        start = 0
        for job in live:
            job.future.set_result(list(answers[start : start + len(job.rows)]))
            start += len(job.rows)


def _answer_alone(job: Job) -> None:
    try:
        job.future.set_result(list(job.compute(job.rows)))
    except Exception as error:
        job.future.set_exception(error)
