"""What the server counts, in the text format that Prometheus reads."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping

from albert_zh.workers import resident_bytes

#: Upper ends of the bars, seconds and rows.
SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Histogram:
    """Counts of values up to each of ``ends``, with their sum."""

    def __init__(self, ends: tuple[float, ...]):
        self.ends = ends
        self.counts = [0] * (len(ends) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.ends, value)] += 1
        self.sum += value

    def lines(self, name: str, labels: str) -> list[str]:
        lines, total = [], 0
        for end, count in zip((*self.ends, "+Inf"), self.counts, strict=True):
            total += count
            lines.append(f'{name}_bucket{{{labels},le="{end}"}} {total}')
        return [*lines, f"{name}_sum{{{labels}}} {self.sum:.6f}", f"{name}_count{{{labels}}} {total}"]


class Metrics:
    """Requests by path and status, their seconds, rows of batches. Threads may count at the same time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: dict[tuple[str, int], int] = defaultdict(int)
        self._seconds: dict[str, Histogram] = defaultdict(lambda: Histogram(SECONDS))
        self._batches: dict[str, Histogram] = defaultdict(lambda: Histogram(ROWS))

    def request(self, path: str, status: int, seconds: float) -> None:
        """Counts an answered request; ``path`` is one of the server's own, or "other", so that there are few."""
        with self._lock:
            self._requests[path, status] += 1
            self._seconds[path].add(seconds)

    def batch(self, model: str, rows: int) -> None:
        """Counts a batch."""
        with self._lock:
            self._batches[model].add(rows)

    def text(self, waiting: Mapping[str, int], state: str) -> str:
        """All counts; ``waiting``: the rows in each model's queue."""
        lines = ["# HELP albert_zh_requests_total Requests answered.", "# TYPE albert_zh_requests_total counter"]
        with self._lock:
            for (path, status), count in sorted(self._requests.items()):
                lines.append(f'albert_zh_requests_total{{path="{quoted(path)}",status="{status}"}} {count}')
            lines += ["# HELP albert_zh_request_seconds From the first byte to the answer."]
            lines += ["# TYPE albert_zh_request_seconds histogram"]
            for path, histogram in sorted(self._seconds.items()):
                lines += histogram.lines("albert_zh_request_seconds", f'path="{quoted(path)}"')
            lines += ["# HELP albert_zh_batch_rows Texts computed at once.", "# TYPE albert_zh_batch_rows histogram"]
            for model, histogram in sorted(self._batches.items()):
                lines += histogram.lines("albert_zh_batch_rows", f'model="{quoted(model)}"')
        lines += ["# HELP albert_zh_queue_rows Texts that wait.", "# TYPE albert_zh_queue_rows gauge"]
        lines += [f'albert_zh_queue_rows{{model="{quoted(model)}"}} {rows}' for model, rows in sorted(waiting.items())]
        lines += ["# HELP albert_zh_ready 1 when requests are answered.", "# TYPE albert_zh_ready gauge"]
        lines += [f"albert_zh_ready {int(state == 'ready')}"]
        lines += ["# HELP process_resident_memory_bytes Resident memory.", "# TYPE process_resident_memory_bytes gauge"]
        lines += [f"process_resident_memory_bytes {resident_bytes()}"]
        return "\n".join(lines) + "\n"


def quoted(text: str) -> str:
    """Text as the value of a label.

    >>> print(quoted('a"b'))
    a\\"b
    """
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
