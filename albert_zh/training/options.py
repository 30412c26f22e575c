"""Options of pretraining and fine-tuning. No TensorFlow here: ``--help`` answers at once."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from albert_zh.files import InputError

#: The published recipe's batch and rate; for another batch the rate is scaled by the root of the ratio.
PUBLISHED_BATCH, PUBLISHED_RATE = 4096, 0.00176
#: Updates from which XLA's compile time is won back: of one shape in pretraining, of a few in fine-tuning
#: (benchmarks/finetune.py).
PRETRAIN_COMPILE_FROM, FINETUNE_COMPILE_FROM = 100, 400
#: What ``--distribution_strategy`` may be; ``strategy.make_strategy`` says what each means.
STRATEGIES = ("auto", "one_device", "mirrored", "multi_worker_mirrored", "tpu")


@dataclass(frozen=True)
class PretrainOptions:
    """Options of ``pretrain`` (and of run_pretraining.py and run_pretraining_google.py)."""

    input_file: tuple[str, ...] = field(metadata={"help": "record files made by create-data: names, globs, commas"})
    output_dir: str = field(metadata={"help": "folder of checkpoints and logs; the same folder and options: go on"})
    bert_config_file: str = field(
        default="",
        metadata={
            "help": "JSON of the model's size (left out: the one beside --init_checkpoint)",
            "aliases": ("albert_config_file", "config_file"),
        },
    )
    do_train: bool = field(default=False, metadata={"help": "train"})
    do_eval: bool = field(default=False, metadata={"help": "measure dev loss and accuracy, keep the best checkpoint"})
    init_checkpoint: str = field(
        default="",
        metadata={
            "help": "start from these weights (left out: random weights): a folder, a checkpoint's prefix, a .zip or "
            ".tar.gz, a name that albert-zh models lists, or an http address; any layout",
            "aliases": ("hub_module_url", "albert_hub_module_handle"),
        },
    )
    warm_start: bool = field(
        default=False,
        metadata={
            "help": "let --init_checkpoint be of another size or family than --bert_config_file: what has the same "
            "place and shape is taken over, the rest is initialised"
        },
    )
    eval_input_file: tuple[str, ...] = field(
        default=(),
        metadata={"help": "records to evaluate on; left out: the last 1% of --input_file is kept out of training"},
    )
    vocab_file: str = field(default="", metadata={"help": "vocabulary to keep with the model; never another one's"})
    spm_model_file: str = field(
        default="",
        metadata={"help": "SentencePiece model, for records made with one", "aliases": ("sp_model_file",)},
    )
    export_dir: str = field(default="", metadata={"help": "folder that gets the finished model alone"})
    max_seq_length: int = field(default=512, metadata={"help": "tokens a row; what the records were made with"})
    max_predictions_per_seq: int = field(default=51, metadata={"help": "masked tokens a row, at most"})
    train_batch_size: int = field(default=4096, metadata={"help": "rows per update, over all devices (effective)"})
    micro_batch_size: int = field(
        default=0, metadata={"help": "rows a device holds at once; gradients are accumulated (0: by length and device)"}
    )
    eval_batch_size: int = field(default=64, metadata={"help": "rows per evaluation batch, over all devices"})
    max_eval_steps: int = field(default=100, metadata={"help": "evaluation batches, at most"})
    learning_rate: float | None = field(
        default=None, metadata={"help": "peak rate (left out: 0.00176 * sqrt(batch / 4096), the published rule)"}
    )
    num_train_steps: int = field(default=125000, metadata={"help": "updates in all"})
    num_warmup_steps: int | None = field(
        default=None, metadata={"help": "updates of linear warm-up (left out: a tenth of the steps)"}
    )
    save_checkpoints_steps: int = field(default=2000, metadata={"help": "updates between checkpoints (and dev scores)"})
    keep_checkpoint_max: int = field(default=2, metadata={"help": "last checkpoints kept, beside the best"})
    log_steps: int = field(default=0, metadata={"help": "updates between log rows (0: about 500 rows a run)"})
    optimizer: str = field(
        default="lamb",
        metadata={
            "help": "as published: lamb (that of the model's family), lamb_google, adamw",
            "choices": ("lamb", "lamb_google", "adamw"),
        },
    )
    clip_norm: float = field(default=1.0, metadata={"help": "largest global norm of the gradient"})
    precision: str = field(
        default="float32",
        metadata={"help": "number format of the layers", "choices": ("float32", "mixed_bfloat16")},
    )
    jit_compile: str = field(
        default="auto",
        metadata={"help": "XLA: auto compiles runs of 100 steps and more", "choices": ("auto", "on", "off")},
    )
    random_seed: int = field(default=12345, metadata={"help": "of first weights, order of rows, dropout"})
    distribution_strategy: str = field(
        default="auto",
        metadata={
            "help": "devices: auto takes all GPUs of the machine",
            "choices": STRATEGIES,
        },
    )
    use_tpu: bool = field(default=False, metadata={"help": "the same as --distribution_strategy=tpu"})
    tpu_name: str = field(default="", metadata={"help": "name or grpc:// address of the TPU"})
    tpu_zone: str = field(default="", metadata={"help": "zone of the TPU"})
    gcp_project: str = field(default="", metadata={"help": "project of the TPU"})
    overwrite: bool = field(default=False, metadata={"help": "start over: drop the run held in --output_dir"})
    num_tpu_cores: int = field(default=8, metadata={"help": "", "ignored": "the strategy finds the cores"})
    iterations_per_loop: int = field(default=1000, metadata={"help": "", "ignored": "no session loop any more"})
    master: str = field(default="", metadata={"help": "", "ignored": "there is no session master any more"})

    def __post_init__(self) -> None:
        positive = (
            "train_batch_size eval_batch_size num_train_steps save_checkpoints_steps max_predictions_per_seq "
            "max_eval_steps keep_checkpoint_max"
        ).split()
        for name in (*positive, "micro_batch_size", "log_steps"):
            least = 1 if name in positive else 0
            if getattr(self, name) < least:
                raise InputError(f"--{name}={getattr(self, name)}: must be {least} or more.")
        if not 8 <= self.max_seq_length <= 512:
            raise InputError(f"--max_seq_length={self.max_seq_length}: must be from 8 to 512.")
        for name in ("clip_norm", "learning_rate"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise InputError(f"--{name}={value}: must be more than 0.")
        for name in ("num_warmup_steps", "random_seed"):
            if (getattr(self, name) or 0) < 0:
                raise InputError(f"--{name}={getattr(self, name)}: must be 0 or more.")
        if not (self.do_train or self.do_eval):
            raise InputError("nothing to do: give --do_train=True, --do_eval=True or both.")
        _check_warm_start(self)
        if self.do_train and not self.bert_config_file and not self.init_checkpoint:
            raise InputError("--bert_config_file is missing. Give one, such as albert_config/albert_config_tiny.json.")

    @property
    def peak_rate(self) -> float:
        """The learning rate given, or the published one scaled by the square root of the batch."""
        if self.learning_rate is not None:
            return self.learning_rate
        return PUBLISHED_RATE * math.sqrt(self.train_batch_size / PUBLISHED_BATCH)

    @property
    def warmup_steps(self) -> int:
        return self.num_train_steps // 10 if self.num_warmup_steps is None else self.num_warmup_steps


def _check_warm_start(options) -> None:
    if options.warm_start and not (options.do_train and options.init_checkpoint and options.bert_config_file):
        raise InputError(
            "--warm_start: needs --do_train=true, --init_checkpoint, to take weights from, and --bert_config_file, the "
            "config of the model to train."
        )


def same_field(options: type, name: str):
    """The field of that name of other options: one meaning, one help text."""
    original = options.__dataclass_fields__[name]
    return field(default=original.default, metadata=original.metadata)


def _as_in_pretraining(name: str):
    return same_field(PretrainOptions, name)


_CLOZE = "without a classifier"
_SPANS = "pieces of a passage and of a text"
_OWN_DATA = "your own data (--task_name=custom)"


_FILES = "files by name"


def _file(alias: str, text: str):
    """A flag of a split's own file."""
    return field(default="", metadata={"help": text, "group": _FILES, "aliases": (alias,)})


def _own(text: str):
    """A flag of a user's own data."""
    return field(default="", metadata={"help": text, "group": _OWN_DATA})


def _span_flag(text: str):
    """A flag of the tasks whose answers are no labels of a whole text; left out, the task's own setting holds."""
    return field(default=None, metadata={"help": text, "group": _SPANS})


#: Of FinetuneOptions: what a task has as a setting of its own.
TASK_SETTINGS = "doc_stride max_query_length max_answer_length n_best_size null_score_diff_threshold crf fix".split()


@dataclass(frozen=True)
class FinetuneOptions:
    """Options of ``finetune`` (and of run_classifier.py)."""

    output_dir: str = field(
        metadata={"help": "folder of the finished model, metrics and predictions", "aliases": ("model_dir",)}
    )
    task_name: str = field(
        default="", metadata={"help": "task, such as lcqmc or tnews; custom: your own files, named below"}
    )
    data_dir: str = field(
        default="",
        metadata={"help": "folder of the task's train, dev and test files; for custom, what relative names begin from"},
    )
    init_checkpoint: str = _as_in_pretraining("init_checkpoint")
    warm_start: bool = _as_in_pretraining("warm_start")
    bert_config_file: str = _as_in_pretraining("bert_config_file")
    vocab_file: str = field(default="", metadata={"help": "WordPiece vocabulary (left out: the checkpoint's own)"})
    spm_model_file: str = field(
        default="",
        metadata={"help": "SentencePiece model, for a checkpoint that uses one", "aliases": ("sp_model_file",)},
    )
    mode: str = field(
        default="",
        metadata={
            "help": "train_and_eval, train, eval or predict: instead of the three flags that follow",
            "choices": ("", "train_and_eval", "train", "eval", "predict"),
        },
    )
    do_train: bool = field(default=False, metadata={"help": "train"})
    do_eval: bool = field(default=False, metadata={"help": "score dev with the best model"})
    do_predict: bool = field(default=False, metadata={"help": "answer test with the best model"})
    do_lower_case: bool | None = field(
        default=None, metadata={"help": "lower-case the text (left out: as the checkpoint's own files say, else true)"}
    )
    max_seq_length: int | None = field(default=None, metadata={"help": "tokens a row (left out: the task's recipe)"})
    train_batch_size: int | None = field(default=None, metadata={"help": "rows per update (left out: the recipe)"})
    micro_batch_size: int = _as_in_pretraining("micro_batch_size")
    eval_batch_size: int = field(default=64, metadata={"help": "rows per evaluation batch"})
    predict_batch_size: int = field(default=64, metadata={"help": "", "ignored": "--eval_batch_size is used"})
    learning_rate: float | None = field(default=None, metadata={"help": "peak rate (left out: the task's recipe)"})
    num_train_epochs: float | None = field(
        default=None, metadata={"help": "passes over the training rows (left out: the task's recipe)"}
    )
    train_step: int | None = field(default=None, metadata={"help": "updates, instead of --num_train_epochs"})
    warmup_proportion: float = field(default=0.1, metadata={"help": "share of the updates with rising rate"})
    warmup_step: int | None = field(
        default=None, metadata={"help": "updates with rising rate, instead of --warmup_proportion"}
    )
    eval_steps: int = field(
        default=0,
        metadata={
            "help": "updates between two looks at dev (0: four an epoch)",
            "aliases": ("save_checkpoints_steps",),
        },
    )
    optimizer: str = field(
        default="adamw",
        metadata={"help": "as published: adamw, lamb, lamb_google", "choices": ("adamw", "lamb", "lamb_google")},
    )
    few_shot: int = field(
        default=0,
        metadata={
            "help": "train on so many rows of each label alone (regression: so many in all), drawn with the seed; "
            "0: on all"
        },
    )
    prompt: bool = field(
        default=False,
        metadata={
            "help": "answer by the masked-LM head in the blank of a template, without a classifier: without training, "
            "or trained on the rows or with --few_shot on some",
            "group": _CLOZE,
        },
    )
    prompt_template: str = field(
        default="",
        metadata={
            "help": "text with {mask} and {text_a}, for pairs {text_b} (left out: the task's own)",
            "group": _CLOZE,
        },
    )
    prompt_words: tuple[str, ...] = field(
        default=(),
        metadata={"help": "LABEL=WORD: what fills the blank for a label (left out: the task's own)", "group": _CLOZE},
    )
    doc_stride: int | None = _span_flag("reading comprehension: tokens from one window of a long passage to the next")
    max_query_length: int | None = _span_flag("reading comprehension: tokens of the question, at most")
    max_answer_length: int | None = _span_flag("reading comprehension: tokens of an answer, at most")
    n_best_size: int | None = _span_flag("reading comprehension: answers kept for each question")
    null_score_diff_threshold: float | None = _span_flag(
        "reading comprehension: answer nothing from this lead of no answer on (left out: the best on dev)"
    )
    crf: bool | None = _span_flag("tagging: a linear chain over the tags, decoded exactly")
    fix: bool | None = _span_flag("chid: each idiom once among the blanks of a row (left out: yes)")
    input_meta_data_path: str = field(
        default="",
        metadata={
            "help": "meta_data.json of create-finetuning-data: the files below hold its records",
            "group": _FILES,
        },
    )
    train_file: str = _file(
        "train_data_path",
        "training rows, instead of the task's file in --data_dir; of your own data .csv, .tsv or .txt with a header "
        "row, or JSON lines (.json, .jsonl)",
    )
    dev_file: str = _file("eval_data_path", "rows that choose the best model; in the format of the training file")
    test_file: str = _file("test_data_path", "rows to answer; the labels may be left out")
    text_column: str = _own("column of the text (left out: guessed); a number from 1 for a table without header")
    text_pair_column: str = _own("column of the second text, for pairs (left out: guessed, if text_column is too)")
    label_column: str = _own("column of the label or number (left out: guessed)")
    regression: bool = field(
        default=False, metadata={"help": "the label column holds numbers to be answered", "group": _OWN_DATA}
    )
    tagging: bool = field(
        default=False,
        metadata={
            "help": "the files hold texts with entities: a word and its BIO, BMES or BIOES tag a line, or JSON lines "
            "as CLUENER's",
            "group": _OWN_DATA,
        },
    )
    sweep: bool = field(default=False, metadata={"help": "try the recipe's learning rates, keep the best by dev"})
    learning_rates: tuple[str, ...] = field(
        default=(), metadata={"help": "rates of --sweep (left out: the task's recipe)"}
    )
    seeds: int = field(
        default=1,
        metadata={"help": "with --sweep: runs of the best rate, each with a seed of its own; the best by dev is kept"},
    )
    early_stop: bool = field(
        default=True,
        metadata={
            "help": "with --sweep: do not choose a run that after half of its updates is clearly behind an earlier "
            "one, and end it where runs do not go side by side"
        },
    )
    processes: int = field(
        default=0,
        metadata={"help": "with --sweep: runs side by side, each in a process (0: one for each of several GPUs)"},
    )
    random_seed: int = _as_in_pretraining("random_seed")
    precision: str = _as_in_pretraining("precision")
    jit_compile: str = field(
        default="auto",
        metadata={
            "help": f"XLA: auto compiles runs of {FINETUNE_COMPILE_FROM} updates and more",
            "choices": ("auto", "on", "off"),
        },
    )
    distribution_strategy: str = _as_in_pretraining("distribution_strategy")
    use_tpu: bool = _as_in_pretraining("use_tpu")
    tpu_name: str = _as_in_pretraining("tpu_name")
    tpu_zone: str = _as_in_pretraining("tpu_zone")
    gcp_project: str = _as_in_pretraining("gcp_project")
    overwrite: bool = _as_in_pretraining("overwrite")
    num_tpu_cores: int = _as_in_pretraining("num_tpu_cores")
    iterations_per_loop: int = _as_in_pretraining("iterations_per_loop")
    master: str = _as_in_pretraining("master")
    keep_checkpoint_max: int = field(
        default=5, metadata={"help": "", "ignored": "the last checkpoint, to go on from, and the best by dev are kept"}
    )
    cached_dir: str = field(
        default="",
        metadata={
            "help": "folder that keeps the ids of large data sets from run to run (left out: features/ of the folder "
            "of downloads; none: nowhere)"
        },
    )

    def __post_init__(self) -> None:
        if self.mode:
            given = {"train_and_eval": (True, True, False), "train": (True, False, False)}
            flags = given.get(self.mode, (False, self.mode == "eval", self.mode == "predict"))
            for name, value in zip(("do_train", "do_eval", "do_predict"), flags, strict=True):
                object.__setattr__(self, name, value or getattr(self, name))
        if not self.task_name and not self.input_meta_data_path:
            raise InputError("missing --task_name: the task, such as lcqmc; custom for your own files.")
        if not (self.do_train or self.do_eval or self.do_predict):
            raise InputError("nothing to do: give --do_train=true, --do_eval=true, --do_predict=true or some of them.")
        if self.max_seq_length is not None and not 8 <= self.max_seq_length <= 512:
            raise InputError(f"--max_seq_length={self.max_seq_length}: must be from 8 to 512.")
        for name in ("train_batch_size", "eval_batch_size", "num_train_epochs", "learning_rate", "train_step"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise InputError(f"--{name}={value}: must be more than 0.")
        if self.train_step and self.num_train_epochs:
            raise InputError("--train_step and --num_train_epochs: both say how long to train. Give one of the two.")
        if self.warmup_step is not None and self.warmup_step < 0:
            raise InputError(f"--warmup_step={self.warmup_step}: must be 0 or more.")
        if self.random_seed < 0:
            raise InputError(f"--random_seed={self.random_seed}: must be 0 or more.")
        if self.few_shot < 0:
            raise InputError(f"--few_shot={self.few_shot}: must be 0 (all rows) or more.")
        if self.seeds < 1:
            raise InputError(f"--seeds={self.seeds}: must be 1 or more.")
        if self.seeds > 1 and not self.sweep:
            raise InputError(f"--seeds={self.seeds}: goes with --sweep=true, whose best rate is run with each seed.")
        if self.processes < 0 or (self.processes > 1 and not self.sweep):
            raise InputError(f"--processes={self.processes}: 0 or more runs of --sweep=true side by side.")
        if self.micro_batch_size < 0:
            raise InputError(f"--micro_batch_size={self.micro_batch_size}: must be 0 (by length and device) or more.")
        if self.eval_steps < 0:
            raise InputError(f"--eval_steps={self.eval_steps}: must be 0 (four looks an epoch) or more.")
        if (self.prompt_template or self.prompt_words) and not self.prompt:
            given = "template" if self.prompt_template else "words"
            raise InputError(f"--prompt_{given}: goes with --prompt=true.")
        for name in ("doc_stride", "max_query_length", "max_answer_length", "n_best_size"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise InputError(f"--{name}={value}: must be 1 or more.")
        self._check_files()
        if not 0 <= self.warmup_proportion < 1:
            raise InputError(f"--warmup_proportion={self.warmup_proportion}: must be from 0 to below 1.")
        _check_warm_start(self)
        if not (self.init_checkpoint or self.bert_config_file) and self.do_train:
            raise InputError("give --init_checkpoint, or --bert_config_file and --vocab_file for random weights.")

    @property
    def custom(self) -> bool:
        """Whether the rows are the user's own files."""
        return self.task_name.lower() == "custom"

    @property
    def own_files(self) -> dict[str, str]:
        """Split -> the user's own file of it."""
        files = {"train": self.train_file, "dev": self.dev_file, "test": self.test_file}
        return {split: name for split, name in files.items() if name}

    def _check_files(self) -> None:
        own = [n for n in ("text_column", "text_pair_column", "label_column", "regression") if getattr(self, n)]
        if self.custom and self.tagging and own:
            raise InputError(f"--{own[0]}: of a table with a label a row; --tagging=true reads other files. Give one.")
        if not self.custom:
            for name in own + ["tagging"] * self.tagging:
                raise InputError(f"--{name}: of your own data, which needs --task_name=custom, not {self.task_name}.")
            if self.input_meta_data_path and self.data_dir:
                raise InputError("--input_meta_data_path and --data_dir: records or rows. Give one of the two.")
            if self.data_dir:
                return
            if not self.own_files:
                raise InputError("missing --data_dir: the folder of the task's train, dev and test files.")
        needed = {
            "train": (self.do_train or self.sweep) and "the rows to train on",
            "dev": (self.do_train or self.do_eval) and "the rows the best model is chosen by",
            "test": self.do_predict and "the rows to answer",
        }
        for split, what in needed.items():
            if what and split not in self.own_files:
                raise InputError(f"missing --{split}_file: {what}.")
