"""Speed and memory of ``create-data``: instances and megabytes of text a second, for some numbers of workers.

    python benchmarks/create_data.py TEXT... --vocab_file=albert_config/vocab.txt --workers=1,2

Each row is a run of its own process into a folder that is removed again, at the defaults of the command (length 512,
10 duplicates, whole words in n-grams, rjieba). "CPU" is the rate in processor seconds of all processes together, which
other work on the machine does not change much; memory is the largest process.

News text of 6 MB in 279 documents, vocabulary of 21,128 entries, 2 x86-64 cores: 45,410 instances, 6,274 a second with
1 worker, 10,233 with 2 (6,319 and 5,575 a processor second); 128 MB.
"""

from __future__ import annotations

import argparse
import multiprocessing
import platform
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

from albert_zh.pretrain.create import CreateDataOptions, run


def measure(options: CreateDataOptions, answer: multiprocessing.SimpleQueue) -> None:
    """Runs once; sends instances, bytes of text, seconds, processor seconds, and MB of the largest process."""
    started = time.perf_counter()
    counts = run(options)["counts"]
    seconds = time.perf_counter() - started
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    processor = sum(usage.ru_utime + usage.ru_stime for usage in used)
    answer.put((counts["instances"], counts["bytes"], seconds, processor, max(u.ru_maxrss for u in used) / 1024))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", nargs="+")
    parser.add_argument("--vocab_file", default="albert_config/vocab.txt")
    parser.add_argument("--workers", default="1,2")
    parser.add_argument("--segmenter", default="rjieba")
    arguments = parser.parse_args()
    print(
        f"{platform.machine()}, {multiprocessing.cpu_count()} cores, Python {platform.python_version()}",
        file=sys.stderr,
    )
    rows = []
    for workers in map(int, arguments.workers.split(",")):
        folder = Path(tempfile.mkdtemp())
        options = CreateDataOptions(
            input_file=tuple(arguments.text),
            output_file=str(folder / "data.tfrecord"),
            vocab_file=arguments.vocab_file,
            segmenter=arguments.segmenter,
            num_workers=workers,
        )
        context = multiprocessing.get_context("spawn")
        answer = context.SimpleQueue()
        process = context.Process(target=measure, args=(options, answer))
        process.start()
        process.join()
        shutil.rmtree(folder)
        if process.exitcode:
            sys.exit(process.exitcode)
        rows.append((workers, *answer.get()))
    print(f"{'workers':>8}{'instances/s':>13}{'MB text/s':>11}{'seconds':>9}{'instances/CPU s':>17}{'peak MB':>9}")
    for workers, instances, size, seconds, processor, memory in rows:
        print(
            f"{workers:8}{instances / seconds:13,.0f}{size / 1e6 / seconds:11.2f}{seconds:9.1f}"
            f"{instances / processor:17,.0f}{memory:9.0f}"
        )


if __name__ == "__main__":
    main()
