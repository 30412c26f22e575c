"""Options of ``predict`` and ``similarity``. No TensorFlow here: ``--help`` answers at once."""

from __future__ import annotations

from dataclasses import dataclass, field

from albert_zh.files import InputError


@dataclass(frozen=True)
class PredictOptions:
    """Options of ``predict``."""

    folder: str = field(metadata={"help": "fine-tuned folder, as finetune leaves it", "positional": True})
    text: tuple[str, ...] = field(
        default=(),
        metadata={
            "help": "texts; for a task on pairs two, for reading comprehension the passage, then the question",
            "split": False,
        },
    )  # a comma is text
    input_file: str = field(
        default="", metadata={"help": "rows to answer: text, or text<TAB>text, a line, and no other column"}
    )
    output_file: str = field(default="", metadata={"help": "where the answers go (left out: the terminal)"})
    batch_size: int = field(default=64, metadata={"help": "rows computed at once"})

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise InputError(f"--batch_size={self.batch_size}: must be 1 or more.")


@dataclass(frozen=True)
class SimilarityOptions:
    """Options of ``similarity``."""

    folder: str = field(
        default="",
        metadata={
            "help": "fine-tuned folder of sentence pairs (left out: the first that is finished of ./output/lcqmc, "
            "./output/lcqmc_sweep, ./output/lcqmc_sample, ./quickstart_output/pairs)",
            "positional": True,
        },
    )
    text: tuple[str, ...] = field(
        default=(),
        metadata={
            "help": "two sentences (left out: an example, then what is typed; from a pipe its lines text<TAB>text)",
            "split": False,
        },
    )
