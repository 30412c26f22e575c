"""Rows a second of a fine-tuning update: beside PyTorch's, and compiled with XLA beside not, always in turns.

    python benchmarks/finetune.py data/lcqmc --bert_config_file=albert_config/albert_config_tiny.json

PyTorch and transformers run the same rows, batch and optimizer in an environment of their own (``.peer``), whose
absence is said; ours are compiled batches of rows of like length, as in a run of some length.

Compiled and not, both ways see the same rows in the order of a run: not compiled, batches are padded to any multiple of
8; compiled, to 4 widths. First each way meets every width once, which is timed as tracing and compiling; then they take
turns. Processor seconds, of all threads, are what other work on the machine changes least.

ALBERT-tiny, batch 64, length 128, 7,000 LCQMC rows (28.0 tokens on average), 2 x86-64 cores, against PyTorch 2.13
and transformers 5.24, medians of 5 rounds: ours 175 rows/s; padded to 128 PyTorch 31, ratio 5.60 (4.85 to 6.64);
padded to the longest of the batch 85, ratio 1.93 (1.70 to 2.17). Before the last block was computed at [CLS] alone the
ratios were 4.39 and 1.52. Compiled / not compiled 1.29, by processor seconds 1.28; tracing took 4 processor seconds for
all 8 widths, compiling 33 for 4, so XLA pays from about 180 updates on. On such a machine in use by other work it paid
from 300 on or never by the clock: hence the 400 of ``--jit_compile=auto``.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

from albert_zh.config import AlbertConfig
from albert_zh.convert.weights import variable_names
from albert_zh.models.heads import AlbertForClassification
from albert_zh.tasks import get_task
from albert_zh.text.tokenizer import load_tokenizer
from albert_zh.training.batches import FeatureBatches
from albert_zh.training.loop import Loop
from albert_zh.training.objectives import ClassificationObjective
from albert_zh.training.strategy import make_strategy


class Way:
    """One way of computing the updates."""

    def __init__(self, compiled: bool, arguments: argparse.Namespace, task, features, pad_id: int):
        strategy = make_strategy("one_device")
        config = AlbertConfig.from_json(arguments.bert_config_file)
        with strategy.scope():
            model = AlbertForClassification(config, task.head.outputs, seed=1)
        self.loop = Loop(
            model,
            variable_names(model),
            ClassificationObjective(),
            strategy,
            optimizer="adamw",
            jit_compile=compiled,
            any_shape=not compiled,
            seed=1,
        )
        self.batches = FeatureBatches(
            features,
            size=arguments.batch,
            pad_id=pad_id,
            widths=4 if compiled else 0,
        )

    def seconds(self, step: int, predict: bool = False) -> np.ndarray:
        """Seconds and processor seconds of the update of that number, or of answering its rows; float64 (2,)."""
        started = np.array([time.perf_counter(), time.process_time()])
        arrays = self.batches.read(self.batches.rows(step), self.batches.size)
        if predict:
            self.loop.predict(arrays, "logits")
        else:
            self.loop.step(self.loop.distribute(lambda *_: arrays), step, 1e-5)
        return np.array([time.perf_counter(), time.process_time()]) - started

    def first_meetings(self) -> tuple[int, float]:
        """Widths that occur in the first epoch, and the processor seconds their first updates and answers take
        beyond the second ones."""
        widths = {self.batches.width(self.batches.rows(step)): step for step in range(self.batches.per_epoch)}
        rounds = [
            sum(self.seconds(step, predict)[1] for step in widths.values() for predict in (False, True))
            for _ in range(2)
        ]
        return len(widths), rounds[0] - rounds[1]


class Peer:
    """transformers' ALBERT in PyTorch, in a process of another environment; see ``finetune_torch.py``."""

    def __init__(self, python: str, arguments: argparse.Namespace, features, folder: Path):
        bounds = np.cumsum([0, *map(len, features.input_ids)])
        rows = folder / "rows.npz"
        arrays = {"ids": np.concatenate(features.input_ids), "segments": np.concatenate(features.segment_ids)}
        np.savez(rows, **arrays, bounds=bounds, labels=features.labels)
        program = str(Path(__file__).with_name("finetune_torch.py"))
        words = [python, program, str(rows), arguments.bert_config_file, str(arguments.batch)]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.versions = self.process.stdout.readline().strip()

    def seconds(self, width: int, updates: int) -> float:
        """Seconds of so many updates padded to ``width``, 0 for the longest row of each batch."""
        print(width, updates, file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline())


def peer_of(python: str, arguments: argparse.Namespace, features, folder: Path) -> Peer | None:
    """None, and what is missing is said, where that Python has no PyTorch or transformers."""
    found = shutil.which(python)
    if found and not subprocess.run([found, "-c", "import torch, transformers"], capture_output=True).returncode:
        return Peer(found, arguments, features, folder)
    print(f"no comparison with PyTorch: {python} is missing or has no torch and transformers. Make it with:")
    print("  python3 -m venv .peer && .peer/bin/pip install torch transformers")
    return None


def compare(arguments: argparse.Namespace, way: Way, peer: Peer) -> None:
    """Rounds of updates in turns: ours, PyTorch's padded to the length, PyTorch's padded to the longest."""
    print(peer.versions)
    names = {"padded to length": arguments.length, "padded to longest": 0}
    for width in names.values():
        peer.seconds(width, 1)
    ratios: dict[str, list[float]] = {name: [] for name in names}
    for number in range(arguments.rounds):
        # Ours a whole epoch's mixture of widths: an update's time differs by its batch, the order is random.
        steps = range(number * arguments.peer_updates, (number + 1) * arguments.peer_updates)
        ours = arguments.batch * len(steps) / sum(way.seconds(step)[0] for step in steps)
        said = [f"ours {ours:.0f} rows/s"]
        for name, width in names.items():
            # Padded to the length an update takes several times as long: fewer of them, as many seconds.
            updates = max(arguments.peer_updates // (4 if width else 1), 1)
            theirs = arguments.batch * updates / peer.seconds(width, updates)
            ratios[name].append(ours / theirs)
            said.append(f"PyTorch {name} {theirs:.1f}")
        print("  ".join(said), flush=True)
    for name, held in ratios.items():
        print(
            f"ours / PyTorch {name}: {statistics.median(held):.2f} ({min(held):.2f} to {max(held):.2f} over "
            f"{len(held)} rounds)"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_dir")
    parser.add_argument("--task_name", default="lcqmc")
    parser.add_argument("--bert_config_file", default="albert_config/albert_config_tiny.json")
    parser.add_argument("--vocab_file", default="albert_config/vocab.txt")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--updates", type=int, default=8, help="of each way in a round")
    parser.add_argument("--peer_python", default=".peer/bin/python", help="of an environment with PyTorch; empty: none")
    parser.add_argument("--peer_updates", type=int, default=24, help="of each side in a round of that comparison")
    arguments = parser.parse_args()
    task, tokenizer = get_task(arguments.task_name), load_tokenizer(arguments.vocab_file)
    features = task.featurize(task.read("train", arguments.data_dir), tokenizer, arguments.length)
    print(f"{len(features):,} rows of {np.mean([len(ids) for ids in features.input_ids]):.1f} tokens on average")
    ways = {
        name: Way(name == "compiled", arguments, task, features, tokenizer.pad_id)
        for name in ("not compiled", "compiled")
    }
    starts = {}
    for name, way in ways.items():
        count, starts[name] = way.first_meetings()
        print(f"{name}: {starts[name]:.1f} processor seconds of tracing and compiling for {count} widths", flush=True)
    if arguments.peer_python:
        with tempfile.TemporaryDirectory() as folder:
            if peer := peer_of(arguments.peer_python, arguments, features, Path(folder)):
                compare(arguments, ways["compiled"], peer)
                peer.process.terminate()
    spent: dict[str, list[np.ndarray]] = {name: [] for name in ways}
    for number in range(arguments.rounds):
        steps = range(number * arguments.updates, (number + 1) * arguments.updates)
        for name, way in ways.items():
            spent[name].append(sum(way.seconds(step) for step in steps))
        rates = {name: arguments.batch * arguments.updates / seconds[-1] for name, seconds in spent.items()}
        print(
            "  ".join(f"{name} {rate[0]:.0f} rows/s, {rate[1]:.0f} a processor second" for name, rate in rates.items())
        )
    plain, compiled = (np.array(spent[name]) for name in ways)  # (rounds, 2)
    ratios = np.median(plain / compiled, axis=0)
    print(f"compiled / not compiled, median of the rounds: {ratios[0]:.2f}, by processor seconds {ratios[1]:.2f}")
    saved = statistics.median(plain[:, 1] - compiled[:, 1]) / arguments.updates
    extra = starts["compiled"] - starts["not compiled"]
    print(f"XLA pays from {extra / saved:.0f} updates on" if saved > 0 else "XLA does not pay")


if __name__ == "__main__":
    main()
