"""Options of ``albert-zh clue``. No TensorFlow here: ``--help`` answers at once."""

from __future__ import annotations

from dataclasses import dataclass, field

from albert_zh.files import InputError
from albert_zh.training.options import FinetuneOptions, same_field


def _as_in_finetuning(name: str):
    return same_field(FinetuneOptions, name)


@dataclass(frozen=True)
class SuiteOptions:
    """Options of ``clue`` (and of run_classifier_clue.sh)."""

    tasks: tuple[str, ...] = field(
        default=(),
        metadata={
            "help": "tasks, such as afqmc tnews, clue, glue or squad for all of theirs, or all; left out: those of "
            "--benchmark",
            "positional": True,
        },
    )
    benchmark: str = field(
        default="clue",
        metadata={"help": "whose tasks are run where none are named", "choices": ("clue", "glue", "squad")},
    )
    model: str = field(
        default="albert_tiny_zh",
        metadata={
            "help": "a name that albert-zh models lists, a folder, a checkpoint's prefix or an archive; none: random "
            "weights, of --bert_config_file",
            "aliases": ("init_checkpoint", "model_dir"),
        },
    )
    data_dir: str = field(
        default="",
        metadata={
            "help": "folder that holds a folder of each task's name, or the files of the only task; left out: "
            "downloaded"
        },
    )
    sample: bool = field(
        default=False, metadata={"help": "the rows in data/, no network needed: to try things, not for scores"}
    )
    output_dir: str = field(
        default="./output/clue", metadata={"help": "folder of the runs, one for each task, and of what came of them"}
    )
    sweep: bool = field(default=False, metadata={"help": "try the learning rates of each task, keep the best by dev"})
    learning_rates: tuple[str, ...] = _as_in_finetuning("learning_rates")
    seeds: int = _as_in_finetuning("seeds")
    early_stop: bool = _as_in_finetuning("early_stop")
    processes: int = field(
        default=0,
        metadata={"help": "runs side by side, each in a process of its own (0: one for each of several GPUs)"},
    )
    dry_run: bool = field(default=False, metadata={"help": "print the plan and check data and model, run nothing"})
    resume: bool = field(
        default=True, metadata={"help": "go on where an earlier call with these options stopped; false: start over"}
    )
    bert_config_file: str = _as_in_finetuning("bert_config_file")
    vocab_file: str = _as_in_finetuning("vocab_file")
    spm_model_file: str = _as_in_finetuning("spm_model_file")
    do_lower_case: bool | None = _as_in_finetuning("do_lower_case")
    few_shot: int = _as_in_finetuning("few_shot")
    prompt: bool = _as_in_finetuning("prompt")
    max_seq_length: int | None = _as_in_finetuning("max_seq_length")
    train_batch_size: int | None = _as_in_finetuning("train_batch_size")
    micro_batch_size: int = _as_in_finetuning("micro_batch_size")
    num_train_epochs: float | None = _as_in_finetuning("num_train_epochs")
    optimizer: str = _as_in_finetuning("optimizer")
    precision: str = _as_in_finetuning("precision")
    jit_compile: str = _as_in_finetuning("jit_compile")
    random_seed: int = _as_in_finetuning("random_seed")

    def __post_init__(self) -> None:
        if self.sample and self.data_dir:
            raise InputError("--sample and --data_dir: give one of the two.")
        if self.seeds < 1:
            raise InputError(f"--seeds={self.seeds}: must be 1 or more.")
        if self.processes < 0:
            raise InputError(f"--processes={self.processes}: must be 0 (one for each of several GPUs) or more.")
        if self.model == "none" and not self.bert_config_file:
            raise InputError("--model=none: give --bert_config_file and --vocab_file for random weights.")
