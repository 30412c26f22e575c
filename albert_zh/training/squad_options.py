"""Options of ``squad``, named as those of the TF2 ALBERT's run_squad. No TensorFlow: ``--help`` answers at once."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

from albert_zh.files import InputError
from albert_zh.training.options import FinetuneOptions, same_field

_MODES = ("train_and_predict", "train_and_eval", "train", "predict", "eval")


def _as_in_finetuning(name: str):
    return same_field(FinetuneOptions, name)


@dataclass(frozen=True)
class SquadOptions:
    """Options of ``squad`` (and of run_squad.py)."""

    model_dir: str = field(
        metadata={"help": "folder of the finished model and its answers", "aliases": ("output_dir",)}
    )
    predict_file: str = field(
        metadata={"help": "questions in SQuAD's format: those the best model is chosen by, or to be answered"}
    )
    mode: str = field(default="train_and_predict", metadata={"help": "what to do", "choices": _MODES})
    train_data_path: str = field(
        default="",
        metadata={
            "help": "questions in SQuAD's format to train on, or with --input_meta_data_path records of them",
            "aliases": ("train_file",),
        },
    )
    input_meta_data_path: str = field(
        default="", metadata={"help": "JSON of create-finetuning-data about the records of --train_data_path"}
    )
    version_2_with_negative: bool = field(default=False, metadata={"help": "questions may have no answer"})
    init_checkpoint: str = _as_in_finetuning("init_checkpoint")
    bert_config_file: str = _as_in_finetuning("bert_config_file")
    vocab_file: str = _as_in_finetuning("vocab_file")
    spm_model_file: str = _as_in_finetuning("spm_model_file")
    do_lower_case: bool | None = _as_in_finetuning("do_lower_case")
    train_batch_size: int | None = _as_in_finetuning("train_batch_size")
    micro_batch_size: int = _as_in_finetuning("micro_batch_size")
    predict_batch_size: int = field(default=64, metadata={"help": "windows answered at once"})
    learning_rate: float | None = _as_in_finetuning("learning_rate")
    num_train_epochs: float | None = _as_in_finetuning("num_train_epochs")
    warmup_proportion: float = _as_in_finetuning("warmup_proportion")
    max_seq_length: int | None = _as_in_finetuning("max_seq_length")
    doc_stride: int | None = _as_in_finetuning("doc_stride")
    max_query_length: int | None = _as_in_finetuning("max_query_length")
    max_answer_length: int | None = _as_in_finetuning("max_answer_length")
    n_best_size: int | None = _as_in_finetuning("n_best_size")
    null_score_diff_threshold: float | None = _as_in_finetuning("null_score_diff_threshold")
    optimizer: str = _as_in_finetuning("optimizer")
    precision: str = _as_in_finetuning("precision")
    jit_compile: str = _as_in_finetuning("jit_compile")
    random_seed: int = _as_in_finetuning("random_seed")
    distribution_strategy: str = _as_in_finetuning("distribution_strategy")
    use_tpu: bool = _as_in_finetuning("use_tpu")
    tpu_name: str = _as_in_finetuning("tpu_name")
    overwrite: bool = _as_in_finetuning("overwrite")
    steps_per_loop: int = field(default=1000, metadata={"help": "", "ignored": "no session loop any more"})

    def __post_init__(self) -> None:
        if self.trains and not self.train_data_path:
            raise InputError(f"--mode={self.mode}: missing --train_data_path, the questions to train on.")

    @property
    def trains(self) -> bool:
        return self.mode.startswith("train")

    def finetuning(self) -> FinetuneOptions:
        """The same as options of ``finetune``; questions to be answered alone are its test."""
        own = {part.name for part in dataclasses.fields(self)} & {
            part.name for part in dataclasses.fields(FinetuneOptions)
        }
        shared = {name: getattr(self, name) for name in own - {"mode"}}
        alone = self.mode == "predict"
        task_name = "" if self.input_meta_data_path else "squad2" if self.version_2_with_negative else "squad1"
        return FinetuneOptions(
            output_dir=self.model_dir,
            task_name=task_name,
            train_file=self.train_data_path if self.trains else "",
            dev_file="" if alone else self.predict_file,
            test_file=self.predict_file if alone else "",
            do_train=self.trains,
            do_eval=not alone,
            do_predict=alone,
            eval_batch_size=self.predict_batch_size,
            **shared,
        )
