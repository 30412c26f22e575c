"""Milliseconds to answer one text: LiteRT files of this package, its Keras model, ONNX Runtime and PyTorch, in turns.

    python benchmarks/inference.py FINETUNED DATA_DIR --litert float32=…/model.tflite dynamic=…/model.tflite

The same weights in all: FINETUNED is converted into a Hugging Face folder for PyTorch, and PyTorch's exporter makes the
ONNX file from that. The peers run in an environment of their own (``--peer_python``), whose absence is said. Every way
is a process of its own, the others wait while one computes. First all ways answer the same rows and their logits are
compared; then they take turns, round after round, in an order that moves by one. Cases: real rows of dev, batch 1, in
their order (so that the length changes from call to call), and single rows of fixed lengths, made of the real ids.

ALBERT-tiny fine-tuned on LCQMC, one thread of 2 quiet x86-64 cores, milliseconds a call by the clock, medians of 3
rounds. LiteRT 2.3.0, ONNX Runtime 1.32.0 (PyTorch's file), PyTorch 2.13.0 with transformers 5.24.0. Real rows hold 29.9
tokens on average, 15 to 66.

                         real    16    32    64   128   256    512
    LiteRT float32       3.29  2.03  3.22  6.04  12.4  25.3   56.3
    LiteRT float16       3.32  2.04  3.27  6.04  12.0  25.8   56.2
    LiteRT dynamic       1.16  0.57  1.14  2.11  4.33  11.5   30.6
    Classifier's         4.92  2.58  5.83  8.49  15.2  28.2   61.3
    ONNX Runtime         3.47  2.03  4.05  8.74  16.6  40.5    107
      this package's     2.86  1.58  3.53  6.17  12.2  28.6   60.2
    PyTorch              6.41  5.28  7.44  12.8  21.6  55.3    115

Times as fast as ONNX Runtime (least to most of the rounds): dynamic 2.99 (2.69-3.36) on real rows and 3.85 (3.71-4.38)
at 128, float32 1.00 (0.91-1.20) and 1.41 (1.38-1.43): on short rows float32 is level with it, and the ONNX file of this
package is ahead of both. Times as fast as PyTorch: dynamic 5.68 (5.41-6.17) and 5.04 (4.88-7.14), float32 1.93
(1.91-2.09) and 1.85 (1.80-2.33). With two threads dynamic is 2.76 (2.15-2.88) and 3.45 (3.41-6.25) times ONNX Runtime.
Logits differed from the Keras call's by 2e-6 at most, float16 9e-4, dynamic 0.045, with the same labels on all rows.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from albert_zh import conversion
from albert_zh.convert.options import ConvertOptions
from albert_zh.opened import OpenModel, open_finetuned

#: What logits may differ by from those of the Keras model before anything is timed.
LIMITS = {"float32": 1e-3, "float16": 2e-2, "dynamic": 0.5}


class Way:
    """One process that answers; see ``inference_ways.py``."""

    def __init__(self, name: str, python: str, way: str, model: str, threads: int, rows: Path):
        self.name = name
        program = str(Path(__file__).with_name("inference_ways.py"))
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])} if python == sys.executable else None
        self.process = subprocess.Popen(
            [python, program, way, model, str(threads), str(rows)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        self.says = self.process.stdout.readline().strip()
        if not self.says:
            raise SystemExit(f"{name} did not start. To see why: {python} {program} {way} {model} {threads} {rows}")
        self.spent: dict[str, list[list[float]]] = {}
        self.processor: dict[str, list[float]] = {}

    def ask(self, case: str, repeats: int) -> dict[str, list]:
        """The milliseconds of each call, the processor's a call, and the logits of the first round."""
        print(case, repeats, file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())

    def each_round(self, case: str, what: str) -> list[float]:
        """Milliseconds a call: the median of each round by the clock, or the mean by the processor."""
        return self.processor[case] if what == "processor" else [statistics.median(ms) for ms in self.spent[case]]

    def end(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def rows_of(opened: OpenModel, data_dir: str, lengths: list[int], count: int) -> dict[str, np.ndarray]:
    """Name ``case/number`` to int32 (2, L), ids and segments: real rows spread over dev, and one of each length."""
    rows = opened.task.read("dev", data_dir)
    rows = rows[:: max(1, len(rows) // count)][:count]
    features = opened.task.featurize(rows, opened.tokenizer, opened.max_seq_length)
    pairs = list(zip(features.input_ids, features.segment_ids, strict=True))
    found = {f"real/{number:04}": np.stack(pair).astype(np.int32) for number, pair in enumerate(pairs)}
    inner = list(
        itertools.islice(itertools.cycle(np.concatenate([ids[1:-1] for ids in features.input_ids])), max(lengths))
    )
    for length in lengths:
        half = length // 2
        ids = [opened.tokenizer.cls_id, *inner[: length - 3], opened.tokenizer.sep_id]
        ids.insert(half, opened.tokenizer.sep_id)
        found[f"{length}/0"] = np.stack([ids, [0] * (half + 1) + [1] * (length - half - 1)]).astype(np.int32)
    return found


def ways_of(arguments: argparse.Namespace, folder: Path, threads: int, rows: Path) -> list[Way]:
    """All ways that this machine has; what is missing is said."""
    own = sys.executable
    ways = [Way(f"LiteRT {name}", own, "litert", file, threads, rows) for name, file in arguments.litert]
    ways += [Way("Classifier's network", own, "network", arguments.finetuned, threads, rows)]
    ways += [Way("Keras call", own, "keras", arguments.finetuned, threads, rows)]
    if arguments.onnx:
        ways.append(Way("ONNX Runtime, own file", own, "onnx", arguments.onnx, threads, rows))
    peer = shutil.which(arguments.peer_python)
    needs = "import torch, transformers, onnx, onnxscript, onnxruntime"
    if not peer or subprocess.run([peer, "-c", needs], capture_output=True).returncode:
        print(f"no peers: {arguments.peer_python} is missing or lacks a package. Make it with:")
        print("  python3 -m venv .peer && .peer/bin/pip install torch transformers onnx onnxscript onnxruntime")
        return ways
    peers = [
        Way("ONNX Runtime", peer, "onnx", str(folder / "model.onnx"), threads, rows),
        Way("PyTorch", peer, "torch", str(folder), threads, rows),
    ]
    return ways + peers


def compare(ways: list[Way], cases: list[str]) -> None:
    """Every way answers every case once; logits that differ too much end the benchmark."""
    for case in cases:
        answers = {way.name: np.array(way.ask(case, 1)["logits"]) for way in ways}
        right = answers["Keras call"]
        for name, logits in answers.items():
            limit = next((value for mode, value in LIMITS.items() if name.endswith(mode)), LIMITS["float32"])
            difference = np.abs(logits - right).max()
            if difference > limit:
                raise SystemExit(f"{name}, case {case}: logits differ by {difference:.3g}, more than {limit:g}.")
            if case == cases[0]:
                same = (logits.argmax(1) == right.argmax(1)).sum()
                print(f"  {name}: largest difference {difference:.2g}, the same label on {same} of {len(right)}")


def time_all(ways: list[Way], cases: list[str], rounds: int, spend_ms: float) -> None:
    """Rounds in turns; in each a way spends about so many milliseconds on a case, one call at least."""
    for case in cases:
        calls = {way: way.ask(case, 1)["ms"] for way in ways}  # warm, and how many repeats fit
        for number in range(rounds):
            for way in ways[number % len(ways) :] + ways[: number % len(ways)]:
                answer = way.ask(case, max(1, round(spend_ms / sum(calls[way]))))
                way.spent.setdefault(case, []).append(answer["ms"])
                way.processor.setdefault(case, []).append(answer["cpu_ms"])


def tell(ways: list[Way], cases: list[str], threads: int) -> None:
    """Median and 90th percentile of each way, then its ratios to the peers, median and spread of the rounds."""
    print(f"\n{threads} thread{'s'[: threads > 1]}: milliseconds, median / 90th percentile of all calls")
    print("  ".join([f"{'':24}", *(f"{case:>15}" for case in cases)]))
    for way in ways:
        calls = {case: np.concatenate(way.spent[case]) for case in cases}
        cells = [f"{np.median(ms):6.2f} / {np.percentile(ms, 90):6.2f}" for ms in calls.values()]
        print("  ".join([f"{way.name:24}", *cells]))
    print("processor milliseconds a call, all threads together, median of the rounds")
    for way in ways:
        print("  ".join([f"{way.name:24}", *(f"{statistics.median(way.processor[case]):15.2f}" for case in cases)]))
    for peer in (way for way in ways if way.name in ("ONNX Runtime", "PyTorch")):
        for what in ("clock", "processor"):
            print(f"times as fast as {peer.name} by the {what}: median of the rounds (least to most)")
            for way in (way for way in ways if way.name.startswith("LiteRT")):
                cells = []
                for case in cases:
                    theirs, ours = peer.each_round(case, what), way.each_round(case, what)
                    ratios = [their / our for their, our in zip(theirs, ours, strict=True)]
                    cells.append(f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})")
                print("  ".join([f"{way.name:24}", *(f"{cell:>16}" for cell in cells)]), flush=True)


def _load() -> str:
    return ", ".join(f"{value:.2f}" for value in os.getloadavg())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("finetuned")
    parser.add_argument("data_dir")
    parser.add_argument("--litert", nargs="+", default=[], metavar="NAME=FILE", help="float32, float16, dynamic")
    parser.add_argument("--onnx", default="", help="an ONNX file exported by this package")
    parser.add_argument("--lengths", type=int, nargs="+", default=[16, 32, 64, 128, 256, 512])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rows", type=int, default=50, help="real rows of dev")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--spend_ms", type=float, default=600, help="of each way on each case in a round")
    parser.add_argument("--peer_python", default=".peer/bin/python", help="of an environment with the peers")
    arguments = parser.parse_args()
    arguments.litert = [item.split("=", 1) for item in arguments.litert]
    print(f"{os.cpu_count()} cores; load before anything is started, over 1, 5 and 15 minutes: {_load()}")
    if os.getloadavg()[0] > 0.5:
        print("the machine is busy: go by the processor's milliseconds of one thread, and by no figure of several")
    opened = open_finetuned(arguments.finetuned)
    with tempfile.TemporaryDirectory() as name:
        rows, folder = Path(name) / "rows.npz", Path(name) / "huggingface"
        held = rows_of(opened, arguments.data_dir, arguments.lengths, arguments.rows)
        np.savez(rows, **held)
        conversion.run(ConvertOptions(arguments.finetuned, str(folder), "huggingface"))
        cases = ["real", *map(str, arguments.lengths)]
        tokens = [array.shape[1] for key, array in held.items() if key.startswith("real")]
        print(f"real rows: {len(tokens)} of {np.mean(tokens):.1f} tokens on average ({min(tokens)} to {max(tokens)})")
        for threads in arguments.threads:
            ways = ways_of(arguments, folder, threads, rows)
            if threads == arguments.threads[0]:
                print("\n".join(f"  {way.name}: {way.says}" for way in ways))
            print("logits against the Keras call's, real rows:")
            compare(ways, cases)
            time_all(ways, cases, arguments.rounds, arguments.spend_ms)
            tell(ways, cases, threads)
            print(f"load now: {_load()}", flush=True)
            for way in ways:
                way.end()


if __name__ == "__main__":
    main()
