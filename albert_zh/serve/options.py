"""Options of ``predict``. No TensorFlow here: ``--help`` answers at once."""

from __future__ import annotations

from dataclasses import dataclass, field

from albert_zh.files import InputError


@dataclass(frozen=True)
class PredictOptions:
    """Options of ``predict``."""

    folder: str = field(metadata={"help": "fine-tuned folder, as finetune leaves it", "positional": True})
    text: tuple[str, ...] = field(
        default=(), metadata={"help": "texts; for a task on pairs, two", "split": False}
    )  # a comma is text
    input_file: str = field(
        default="", metadata={"help": "rows to answer: text, or text<TAB>text, a line, and no other column"}
    )
    output_file: str = field(default="", metadata={"help": "where the answers go (left out: the terminal)"})
    batch_size: int = field(default=64, metadata={"help": "rows computed at once"})

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise InputError(f"--batch_size={self.batch_size}: must be 1 or more.")
