"""How fast an exported file answers on this machine: latency by threads and length, memory, load time."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np

from albert_zh.export.interpreter import FILE, SIGNATURE, open_file
from albert_zh.export.options import BenchmarkOptions
from albert_zh.files import InputError, write_json
from albert_zh.terminal import aligned
from albert_zh.workers import available_cores, call_in_process, resident_bytes

#: Seconds for which the machine is watched before the timing.
WATCHED = 1.0
#: Share of the cores in use by others from which the figures are called disturbed.
BUSY = 0.1
#: Each length is timed for so many seconds at least.
_LEAST = 0.5


def run(options: BenchmarkOptions) -> list[dict[str, Any]]:
    """Times a file and shows a table: one row for each number of threads and length.

    Returns:
        The rows: ``threads``, ``length`` (tokens, L), ``median_ms`` and ``p90_ms`` of one call, ``calls``,
        ``memory_mb``: what the process then held more than before the file was loaded, ``load_ms``: to load the file
        and answer for the first time, which is when the weights are laid out.

    Raises:
        InputError: LiteRT is not installed, or the file is missing, damaged, or of another length than all asked for.
    """
    file = Path(options.file)
    file = file / FILE if file.is_dir() else file
    busy = busy_share(WATCHED)
    print(f"{file}: {file.stat().st_size / 1e6:.2f} MB" if file.is_file() else file, flush=True)
    print(f"machine: {platform.machine()}, {available_cores()} cores, {_told(busy)}", flush=True)
    rows = []
    for threads in options.threads:
        arguments = (str(file), threads, options.lengths, options.repeats)
        rows += call_in_process("albert_zh.export.benchmark:measure", *arguments, advice="give shorter --lengths.")
        if threads > available_cores():
            print(f"note: {threads} threads on {available_cores()} cores", flush=True)
    for line in aligned(
        ("threads", "length", "median ms", "p90 ms", "calls", "memory MB", "load ms"),
        [
            (
                str(row["threads"]),
                str(row["length"]),
                *(f"{row[name]:.2f}" for name in ("median_ms", "p90_ms")),
                str(row["calls"]),
                f"{row['memory_mb']:.0f}",
                f"{row['load_ms']:.0f}",
            )
            for row in rows
        ],
    ):
        print(line)
    if options.output_file:
        machine = {"machine": platform.machine(), "cores": available_cores(), "busy": round(busy, 3)}
        write_json(options.output_file, {"file": file.name, **machine, "rows": rows})
        print(f"written: {options.output_file}")
    return rows


def _told(busy: float) -> str:
    if busy < BUSY:
        return f"{busy:.0%} of them in use by others"
    return f"{busy:.0%} of them IN USE BY OTHERS: these figures are too high, look again when it is idle"


def measure(file: str, threads: int, lengths: tuple[int, ...], repeats: int) -> list[dict[str, Any]]:
    """The rows of ``run`` of one number of threads; called in a process of its own."""
    before, started = resident_bytes(), time.perf_counter()
    found = open_file(Path(file), threads)
    answer = found.get_signature_runner(SIGNATURE)
    fixed = int(answer.get_input_details()["input_ids"]["shape_signature"][1])
    if fixed > 0:
        lengths = (fixed,)
    dice, rows, load_ms = np.random.default_rng(0), [], 0.0
    for length in sorted(lengths):
        ids = dice.integers(1, 100, (1, length), dtype=np.int32)
        given = {"input_ids": ids, "input_mask": np.ones_like(ids), "segment_ids": np.zeros_like(ids)}
        try:
            answer(**given)  # takes the new length in
        except (RuntimeError, ValueError) as error:
            raise InputError(f"{file}: does not answer {length} tokens ({error}). Give shorter --lengths.") from error
        load_ms = load_ms or 1e3 * (time.perf_counter() - started)
        times: list[float] = []
        while len(times) < repeats or sum(times) < _LEAST:
            started = time.perf_counter()
            answer(**given)
            times.append(time.perf_counter() - started)
        rows.append(
            {
                "threads": threads,
                "length": length,
                "median_ms": round(1e3 * float(np.median(times)), 3),
                "p90_ms": round(1e3 * float(np.percentile(times, 90)), 3),
                "calls": len(times),
                "memory_mb": round((resident_bytes() - before) / 1e6, 1),
                "load_ms": round(load_ms, 1),
            }
        )
    return rows


def busy_share(seconds: float) -> float:
    """Share of this machine's cores that was at work during the next ``seconds``; 0 where nothing tells."""
    try:
        first = _jiffies()
        time.sleep(seconds)
        idle, total = (now - then for now, then in zip(_jiffies(), first, strict=True))
    except OSError:  # no /proc: the average of the last minute
        return min(os.getloadavg()[0] / available_cores(), 1.0) if hasattr(os, "getloadavg") else 0.0
    return 1.0 - idle / total if total else 0.0


def _jiffies() -> tuple[int, int]:
    """(idle, all) time of all cores since the machine started, in ticks."""
    with open("/proc/stat", encoding="ascii") as stream:
        values = [int(value) for value in stream.readline().split()[1:9]]
    return values[3] + values[4], sum(values)
