"""Options of ``albert-zh convert``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from albert_zh.files import InputError


@dataclass(frozen=True)
class ConvertOptions:
    """What to convert, into what."""

    source: str = field(
        metadata={
            "help": "The model: a folder, a checkpoint's prefix, a .zip or .tar.gz, a name that albert-zh models "
            "lists, or an http address; its layout is found out.",
            "positional": True,
            "aliases": ("tf_checkpoint_path", "checkpoint_to_convert"),
        }
    )
    target: str = field(
        metadata={
            "help": "The folder to write. With --to=tf2 also a prefix such as out/bert_model.ckpt, with "
            "--to=huggingface a file name such as out/pytorch_model.bin, for the folder that would hold it.",
            "positional": True,
            "aliases": ("pytorch_dump_path", "converted_checkpoint_path"),
        }
    )
    to: Literal["tf1", "tf2", "huggingface", "keras", "savedmodel"] = field(
        metadata={
            "help": "The layout: tf1, variable names of the published checkpoints; tf2, TF2 Model Garden; huggingface, "
            "model.safetensors with config and tokenizer; keras, one .keras file; savedmodel, TF Hub's interface."
        }
    )
    family: Literal["google", "brightmart"] | None = field(
        default=None,
        metadata={
            "help": "Write the model as one of this family, where both compute the same; left out, its own, and "
            "google for tf2 and huggingface, which hold no other."
        },
    )
    bert_config_file: str = field(
        default="",
        metadata={
            "help": "The model's config; left out, the one in the file or beside it.",
            "aliases": ("albert_config_file",),
        },
    )
    vocab_file: str = field(
        default="", metadata={"help": "Its WordPiece vocabulary; left out, the one beside the weights."}
    )
    spm_model_file: str = field(
        default="",
        metadata={
            "help": "Its SentencePiece model; left out, the one beside the weights.",
            "aliases": ("sp_model_file",),
        },
    )
    do_lower_case: bool | None = field(
        default=None,
        metadata={"help": "Whether its tokenizer lower-cases; left out: as the source says, else it does."},
    )
    checkpoint_model_name: Literal["encoder", "model"] = field(
        default="encoder",
        metadata={"help": "For tf2: the root of the checkpoint's keys; it restores under both."},
    )
    converted_model: str = field(
        default="", metadata={"ignored": "the heads a model has are always written beside the encoder"}
    )
    random_seed: int = field(default=0, metadata={"help": "Of the batch both models are run on, 0 or more."})
    overwrite: bool = field(default=False, metadata={"help": "Replace the model that TARGET holds."})

    def __post_init__(self) -> None:
        if self.random_seed < 0:
            raise InputError(f"--random_seed={self.random_seed}: must be 0 or more.")
        if self.vocab_file and self.spm_model_file:
            raise InputError("--vocab_file and --spm_model_file: give the one that belongs to the model.")
