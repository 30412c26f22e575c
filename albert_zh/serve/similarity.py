"""How likely two sentences mean the same: a fine-tuned pair model as a function of pairs, and ``similarity.py``.

import albert_zh
sim = albert_zh.BertSim("output/lcqmc")
sim.predict_sentences([("我喜欢妈妈做的汤", "妈妈做的汤我很喜欢喝")])
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from albert_zh.files import InputError, decode_line
from albert_zh.pretrained import TASK_FILE
from albert_zh.serve.classifier import Classifier
from albert_zh.serve.given import Model, finetuned, listed
from albert_zh.serve.options import SimilarityOptions
from albert_zh.tasks.sentences import SentenceTask
from albert_zh.tasks.task import Task

#: Where a pair model is looked for when none is named, as the scripts of this project leave it.
FOLDERS = ("./output/lcqmc", "./output/lcqmc_sweep", "./output/lcqmc_sample", "./quickstart_output/pairs")
#: A pair that means the same.
EXAMPLE = ("我喜欢妈妈做的汤", "妈妈做的汤我很喜欢喝")
#: Bytes of a pipe answered together.
_BYTES = 1 << 15


class BertSim:
    """A model of sentence pairs (LCQMC, BQ, AFQMC …) that says how likely the two of a pair mean the same.

    Several threads may ask one at the same time; whichever comes first loads the model, once.

    Args:
        model: a fine-tuned folder or an open model; None: the first finished folder of ``FOLDERS``.

    Raises:
        InputError: no model named and none found.
    """

    def __init__(self, model: Model | None = None):
        self.model = found_folder() if model is None else model
        self._classifier: Classifier | None = None
        self._loading = threading.Lock()

    def start_model(self) -> None:
        """Loads the model, unless that is done; ``predict_sentences`` does so by itself.

        Raises:
            InputError: no finished fine-tuned folder, or not of a task that asks whether two texts mean the same.
        """
        with self._loading:
            if self._classifier is None:
                opened = finetuned(self.model)
                if not asks_whether_same(opened.task):
                    raise InputError(
                        f"{opened.where}: a model of {opened.task.name}, whose answer is not whether two sentences "
                        "mean the same (a task on pairs with the labels 0 and 1). Give one of LCQMC, BQ or AFQMC."
                    )
                self._classifier = Classifier(opened)

    def predict_sentences(self, pairs: Iterable[tuple[str, str]], batch_size: int = 64) -> list[float]:
        """The probability that the two mean the same, 0 to 1, for every pair, in order.

        Args:
            pairs: of texts.
            batch_size: pairs computed at once.

        Raises:
            InputError: as ``start_model``; a pair that is none, or an empty text.
        """
        return self._same(pairs, batch_size)

    def _same(
        self, pairs: Iterable[tuple[str, str]], batch_size: int = 64, places: Sequence[str] | None = None
    ) -> list[float]:
        self.start_model()
        same = self._classifier.labels.index("1")
        found = self._classifier.predict(listed(pairs, "pairs"), batch_size, places)
        return [prediction.probabilities[same] for prediction in found]


def asks_whether_same(task: Task | None) -> bool:
    """Whether a task asks if two texts mean the same: a task on pairs with the labels 0 and 1."""
    return isinstance(task, SentenceTask) and task.kind == "pair" and set(task.labels) == {"0", "1"}


def found_folder() -> str:
    """The first finished folder of ``FOLDERS``. Raises InputError where there is none."""
    for folder in FOLDERS:
        if (Path(folder) / TASK_FILE).is_file():
            return folder
    raise InputError(
        f"no model of sentence pairs in {', '.join(FOLDERS)}. Make one with bash run_classifier_lcqmc.sh "
        "(or bash quickstart.sh, a small one), or name a fine-tuned folder."
    )


def run(options: SimilarityOptions) -> None:
    """Answers ``--text``; or lines ``a<TAB>b`` from a pipe as ``score<TAB>a<TAB>b``; or an example, then on a terminal
    whatever is typed.

    Raises:
        InputError: no usable model, a number of texts other than two, or a line that is no pair.
    """
    if options.text and len(options.text) != 2:
        raise InputError(f"--text: two texts are needed, got {len(options.text)}.")
    sim = BertSim(options.folder or None)
    if options.text:
        print(_line(sim, tuple(options.text)))
    elif sys.stdin.isatty():
        print(_line(sim, EXAMPLE))
        print("Two sentences a time; an empty line or Ctrl-D ends. 每次输入两句话，空行或 Ctrl-D 结束。")
        for pair in _typed():
            print(_line(sim, pair))
    else:
        _answer_pipe(sim, sys.stdin.buffer)


def _answer_pipe(sim: BertSim, stream: BinaryIO) -> None:
    """Answers the lines of a stream as they come; where there are none, the example."""
    answered = False
    for block in _arriving(stream):
        answered = True
        places = [f"standard input:{number}" for number, _ in block]
        pairs = [tuple(line.split("\t")) for _, line in block]
        for place, pair in zip(places, pairs, strict=True):
            if len(pair) != 2:
                raise InputError(f"{place}: {len(pair)} column{'s'[: len(pair) > 1]}; a pair is text<TAB>text.")
        for pair, score in zip(pairs, sim._same(pairs, places=places), strict=True):
            print(_shown(score, pair))
        sys.stdout.flush()
    if not answered:
        print(_line(sim, EXAMPLE))


def _arriving(stream: BinaryIO) -> Iterator[list[tuple[int, str]]]:
    """Yields the lines that are there, each with its number from 1, and waits only for the first of them; blank ones
    are passed over. Raises InputError for a line that is not UTF-8."""
    rest, number, arrived = b"", 0, b"\n"
    while arrived:
        arrived = stream.read1(_BYTES)
        *whole, rest = (rest + arrived).split(b"\n")
        block = []
        for raw in whole if arrived or not rest else [*whole, rest]:
            number += 1
            line = decode_line(raw, "standard input", number)
            if line.strip():
                block.append((number, line))
        if block:
            yield block


def _typed() -> Iterator[tuple[str, str]]:
    """Pairs of sentences as they are typed, up to an empty line or the end."""
    while True:
        sentences = []
        for prompt in ("1> ", "2> "):
            try:
                sentence = input(prompt).strip()
            except EOFError:
                print()
                return
            if not sentence:
                return
            sentences.append(sentence)
        yield sentences[0], sentences[1]


def _line(sim: BertSim, pair: tuple[str, str]) -> str:
    return _shown(sim.predict_sentences([pair])[0], pair)


def _shown(score: float, pair: tuple[str, str]) -> str:
    return "\t".join([f"{score:.4f}", *pair])
