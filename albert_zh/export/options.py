"""Options of ``export`` and ``benchmark-litert``. No TensorFlow here: ``--help`` answers at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from albert_zh.export.targets import TARGETS
from albert_zh.files import InputError

#: ``--max_seq_length``: a file for sequences of any length.
DYNAMIC = "dynamic"


@dataclass(frozen=True)
class ExportOptions:
    """What to export, for what."""

    model: str = field(
        metadata={
            "help": "fine-tuned folder, or a pretrained model: folder, checkpoint's prefix, name of the catalogue",
            "positional": True,
        }
    )
    output_dir: str = field(metadata={"help": "the folder to write"})
    to: Literal["litert", "savedmodel", "onnx", "huggingface"] = field(
        metadata={
            "help": "litert: phones and small machines; savedmodel: TensorFlow Serving, ids and raw text; onnx: ONNX "
            "Runtime; huggingface: transformers"
        }
    )
    quantize: Literal["none", "float16", "dynamic", "int8"] = field(
        default="none",
        metadata={
            "help": "of litert. float16: weights of half the size; dynamic: int8 weights, float numbers between, "
            "a quarter of the size and two to three times as fast; int8: whole numbers throughout, by real sentences "
            "(most models lose too much by it and are refused). Beyond its limit a file is not written: "
            + "; ".join(f"{name} {limit}" for name, limit in TARGETS["litert"].limits.items())
        },
    )
    max_seq_length: str = field(
        default=DYNAMIC,
        metadata={"help": "of litert. dynamic: any length up to the model's; a number: sequences of so many tokens"},
    )
    data_dir: str = field(
        default="",
        metadata={"help": "the task's rows, whose dev split is answered by both models (left out: the shipped sample)"},
    )
    rows: int = field(default=500, metadata={"help": "sequences that both models answer, at most"})
    overwrite: bool = field(default=False, metadata={"help": "replace the export that --output_dir holds"})

    def __post_init__(self) -> None:
        if self.rows < 1:
            raise InputError(f"--rows={self.rows}: must be 1 or more.")
        if self.max_seq_length != DYNAMIC and not (self.max_seq_length.isdecimal() and int(self.max_seq_length) >= 3):
            raise InputError(f"--max_seq_length={self.max_seq_length}: neither dynamic nor a number from 3 up.")
        if self.to != "litert":
            for name, default in (("quantize", "none"), ("max_seq_length", DYNAMIC)):
                if getattr(self, name) != default:
                    raise InputError(f"--{name}={getattr(self, name)}: of --to=litert alone; leave it out.")

    @property
    def length(self) -> int | None:
        """Tokens of every sequence; None: any number."""
        return None if self.max_seq_length == DYNAMIC else int(self.max_seq_length)


@dataclass(frozen=True)
class BenchmarkOptions:
    """What to time, and how."""

    file: str = field(metadata={"help": "model.tflite, or the folder that export wrote", "positional": True})
    threads: tuple[int, ...] = field(default=(1,), metadata={"help": "numbers of threads"})
    lengths: tuple[int, ...] = field(
        default=(16, 32, 64, 128, 256, 512), metadata={"help": "tokens of a sequence; a file of one length has its own"}
    )
    repeats: int = field(default=30, metadata={"help": "timed calls of each, at least; short ones get more"})
    output_file: str = field(default="", metadata={"help": "the same as JSON"})

    def __post_init__(self) -> None:
        for name in ("threads", "lengths"):
            values = getattr(self, name)
            if any(value < 1 for value in values):
                raise InputError(f"--{name}={','.join(map(str, values))}: each must be 1 or more.")
        if self.repeats < 1:
            raise InputError(f"--repeats={self.repeats}: must be 1 or more.")
