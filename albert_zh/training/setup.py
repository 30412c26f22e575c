"""What a fine-tuning starts from: found, read and checked before anything is computed."""

from __future__ import annotations

import dataclasses
import gc
import math
from pathlib import Path
from typing import Any

from albert_zh import pretrained
from albert_zh.config import AlbertConfig
from albert_zh.convert.weights import variable_names
from albert_zh.files import InputError, default_home, read_json
from albert_zh.models.by_head import model_for
from albert_zh.tasks import Features
from albert_zh.tasks.custom import describe
from albert_zh.training import strategy as devices
from albert_zh.training.checkpoints import RUN_FILE
from albert_zh.training.feature_cache import KEPT_FROM, cached
from albert_zh.training.loop import Loop
from albert_zh.training.objectives import OBJECTIVES
from albert_zh.training.optimizers import published_rule
from albert_zh.training.options import FINETUNE_COMPILE_FROM, FinetuneOptions
from albert_zh.training.task_options import asked_as_cloze, few_shot_note, task_from, with_settings

METRICS_FILE = "metrics.json"
#: Tokens x layers x H of a micro-batch: of tiny 7 rows of C3, 4.4 GB on a CPU; on GPUs as in pretraining, which holds
#: more beside it.
MICRO_BATCH_VALUES = {"CPU": 20_000_000, "GPU": 20_000_000}
_TOKEN_HEADS = ("span", "tagging", "crf")
#: What a head without labels of its own answers with.
_ANSWERS = {"regression": "a number", "choice": "one of several texts", "span": "a piece of a passage"}


@dataclasses.dataclass
class Share:
    """What the runs of one task, model and data have in common, kept from run to run in one process.

    Attributes:
        rows: of a split, read once.
        features: of a split, made once.
        loop: the model and its compiled step, by what they were compiled for.
    """

    rows: dict[Any, list[Any]] = dataclasses.field(default_factory=dict)
    features: dict[Any, Features] = dataclasses.field(default_factory=dict)
    loop: dict[Any, Loop] = dataclasses.field(default_factory=dict)

    def close(self) -> None:
        """Frees what was kept; a process that goes on with other tasks would grow with each."""
        for loop in self.loop.values():
            loop.close()
        for held in (self.rows, self.features, self.loop):
            held.clear()
        gc.collect()  # models and their graphs refer to each other


class Setup:
    """What a fine-tuning starts from: task, rows, weights and vocabulary, found and held against each other at once.

    Args:
        options: of the run.
        share: of the runs before it; see ``finetuning.run``.

    Raises:
        InputError: the task, the weights or the vocabulary cannot be used, or do not fit each other.
    """

    def __init__(self, options: FinetuneOptions, share: Share | None = None):
        self.share = share or Share()
        self.strategy = devices.from_options(options)
        self.chief = devices.is_chief(self.strategy)
        self.options, self.folder = options, Path(options.output_dir)
        # Before the weights: a bad row should not show after a download.
        self.task = task_from(options) if options.do_train or not options.custom else None
        self.source = self._find_weights()
        answering = {} if options.do_train else self.about(pretrained.TASK_FILE)  # a finished model's own settings hold
        self.task = self.task or task_from(options, answering)
        recipe = self.task.recipe
        self.batch_size = options.train_batch_size or recipe.batch_size
        self.peak_rate = recipe.learning_rate if options.learning_rate is None else options.learning_rate
        self.epochs = options.num_train_epochs or recipe.epochs
        own = self.source and not options.warm_start
        self.config = self.source.config if own else AlbertConfig.from_json(options.bert_config_file)
        self.length = options.max_seq_length or answering.get("max_seq_length") or recipe.max_seq_length
        given = {name: getattr(options, name) for name in ("vocab_file", "spm_model_file")}
        lower_case = answering.get("lower_case", options.do_lower_case)
        self.tokenizer = pretrained.tokenizer_of(self.source, **given, lower_case=lower_case, config=self.config)
        self.task = asked_as_cloze(self.task, options, self.tokenizer, answering)
        self.task = self.task.with_settings(answering.get("settings", {}))
        self.task = with_settings(self.task, options)  # what this call gives comes before what was kept
        self.objective = OBJECTIVES[self.task.head.kind]()
        self.micro_batch, self.accumulate = self.batch_size, 1  # until the rows are known
        self._check_source()

    def _find_weights(self):
        """The model to start from, or without training to use: --init_checkpoint, else the finished --output_dir."""

        options, given = self.options, self.options.init_checkpoint
        config = None if options.warm_start else options.bert_config_file or None
        if options.do_train:
            return pretrained.find(given, config) if given else None
        finished = (self.folder / pretrained.TASK_FILE).is_file()
        if not given and not finished:
            raise InputError(
                f"{self.folder}: no finished fine-tuned model there (no {pretrained.TASK_FILE}). Train it with "
                "--do_train=true, or name a fine-tuned folder with --init_checkpoint."
            )
        source = pretrained.find(given or self.folder, config)
        fine_tuned = source.classes or (source.folder / pretrained.TASK_FILE).is_file()
        if finished and not fine_tuned:  # as the earlier scripts were called: the pretrained model named
            print(f"{given}: has no classifier; using the fine-tuned model of {self.folder}", flush=True)
            return pretrained.find(self.folder, config)
        if not fine_tuned and not (options.prompt and source.has_masked_lm):
            lacks = "masked-LM head" if options.prompt else "classifier (no output_weights)"
            raise InputError(
                f"{source.where}: a pretrained checkpoint without a {lacks}: it cannot answer. Fine-tune it with "
                "--do_train=true, give a fine-tuned folder, or let a masked-LM head fill a blank with --prompt=true."
            )
        own = source.folder.resolve() == self.folder.resolve()
        if not own and (finished or (self.folder / RUN_FILE).exists()):
            raise InputError(
                f"{self.folder}: holds another run than --init_checkpoint={given}. Give another --output_dir, or "
                "leave --init_checkpoint out to use the model held there."
            )
        return source

    def about(self, name: str) -> dict[str, Any]:
        """A JSON file beside the weights that are used; empty where there is none."""
        path = self.source.folder / name if self.source else None
        return read_json(path) if path and path.is_file() else {}

    def _check_source(self) -> None:
        """Raises InputError where weights, task and length do not fit each other."""
        if self.length > self.config.max_position_embeddings:
            raise InputError(
                f"--max_seq_length={self.length}: the config has {self.config.max_position_embeddings} positions. "
                f"Give --max_seq_length={self.config.max_position_embeddings} or less."
            )
        head, held = self.task.head, self.about(pretrained.TASK_FILE)
        if head.kind == "cloze" and self.source and not self.source.has_masked_lm:
            raise InputError(
                f"{self.source.where}: no masked-LM head, which --prompt answers with. Start from a pretrained "
                "checkpoint, or leave --prompt out."
            )
        crf, trained_crf = head.kind == "crf", bool(held.get("settings", {}).get("crf"))
        if not self.options.do_train and held and crf != trained_crf:
            raise InputError(f"{self.source.where}: trained with --crf={str(trained_crf).lower()}. Leave --crf out.")
        own = {"kind": self.task.kind, "labels": list(self.task.labels)}
        other = not self.options.do_train and any(held.get(key, value) != value for key, value in own.items())
        classes = self.source.classes if self.source and head.kind not in _TOKEN_HEADS else None
        if other or (classes and classes != head.outputs):
            about = f" ({held['task']}, {held.get('kind')})" if "task" in held else ""
            sizes = f": {classes} classes, {self.task.name} has {head.outputs}" if classes else ""
            raise InputError(
                f"{self.source.where}: its classifier is that of another task{about}{sizes}"
                f"{'' if self.task.labels else f' ({_ANSWERS[head.kind]})'}. Give its own --task_name, or start from "
                "the pretrained checkpoint."
            )

    # The parts of a run

    def rows(self, split: str) -> list[Any]:
        if split not in self.share.rows:
            self.share.rows[split] = self.task.read(split, self.options.data_dir)
        return self.share.rows[split]

    def features(self, split: str, rows: list[Any]) -> Features:
        key = (split, self.options.few_shot and self.options.random_seed)  # few-shot rows are drawn with the seed
        if key not in self.share.features:
            folder = self._cache_folder(len(rows))
            features = (
                cached(folder, self._made_from(split), rows, lambda: self._featurized(rows))
                if folder
                else self._featurized(rows)
            )
            self.share.features[key] = features
            cut = f", {features.truncated:,} cut to {self.length} tokens" if features.truncated else ""
            made = len(features) // features.choices
            windows = f" in {made:,} windows" if made != len(rows) else ""
            print(f"{split}: {len(rows):,} rows{windows}{cut}", flush=True)
        return self.share.features[key]

    def _featurized(self, rows: list[Any]) -> Features:
        return self.task.featurize(rows, self.tokenizer, self.length)

    def _cache_folder(self, rows: int) -> Path | None:
        """Where features of so many rows are kept; few-shot rows, drawn with the seed, are not."""
        given = self.options.cached_dir
        if given == "none" or self.options.few_shot or not (given or rows >= KEPT_FROM):
            return None
        return Path(given or default_home() / "features")

    def _made_from(self, split: str) -> dict[str, Any]:
        task, tokenizer = self.task, self.tokenizer
        return {
            "rows": task.fingerprint(split, self.options.data_dir),
            "split": split,
            "task": [task.name, task.kind, list(task.labels), task.settings, type(task).__name__],
            "columns": describe(task)["columns"] if self.options.custom else None,
            "prompt": self.prompt(),
            "tokenizer": [tokenizer.fingerprint, tokenizer.lower_case],
            "max_seq_length": self.length,
        }

    def micro_batches(self, features: Features) -> tuple[int, int]:
        """(rows of a micro-batch, how many of them a replica accumulates an update), so that an update of the longest
        rows fits the memory of most machines; see ``MICRO_BATCH_VALUES``."""
        share = math.ceil(self.batch_size / self.strategy.num_replicas_in_sync)
        tokens = max(map(len, features.input_ids)) * features.choices
        limit = self.options.micro_batch_size or devices.rows_at_once(self.config, tokens, MICRO_BATCH_VALUES)
        accumulate = math.ceil(share / limit)
        return math.ceil(share / accumulate), accumulate

    def loop_for(self, steps: int, accumulate: int = 1) -> Loop:
        """The loop of so many updates: the model with the weights it starts from, and the compiled step."""
        options = self.options
        head = self.task.head
        shared = {"seed": options.random_seed, "dtype": options.precision}
        with self.strategy.scope():
            model = model_for(self.config, head.kind, head.outputs, words=head.words, mask_id=head.mask_id, **shared)
        if self.source:
            print(pretrained.fill(model, self.source, warm=options.warm_start), flush=True)
        else:
            print("no --init_checkpoint: random weights; expect little above the trivial baselines", flush=True)
        self.compiled = options.jit_compile == "on" or (
            options.jit_compile == "auto" and steps >= FINETUNE_COMPILE_FROM
        )
        rule = published_rule(options.optimizer, self.config.family)
        key = (self.config, head, options.precision, rule, self.compiled, accumulate)
        if held := self.share.loop.get(key):
            for mine, its in zip(held.model.trainable_variables, model.trainable_variables, strict=True):
                mine.assign(its)
            held.begin_again(options.random_seed)
            return held
        names = variable_names(model)
        if not model.reads_pooler:  # decay would wear off a pooler that takes no part
            names = {name: variable for name, variable in names.items() if not name.startswith("bert/pooler/")}
        loop = Loop(
            model,
            names,
            self.objective,
            self.strategy,
            optimizer=rule,
            accumulate=accumulate,
            jit_compile=self.compiled,
            any_shape=not self.compiled,
            seed=options.random_seed,
        )
        self.share.loop = {key: loop}  # one at a time: a second one would hold its memory for nothing
        return loop

    def identity(self) -> dict[str, object]:
        """What two runs must share for one to go on where the other stopped; files by what they hold."""
        options, task = self.options, self.task
        same = "init_checkpoint warm_start optimizer precision random_seed jit_compile warmup_proportion eval_steps"
        same += " train_step warmup_step"
        return {
            "kind": "fine-tuning",
            "task": self.task.name,
            "max_seq_length": self.length,
            "train_batch_size": self.batch_size,
            "accumulate": self.accumulate if self.accumulate > 1 else None,
            "learning_rate": self.peak_rate,
            "num_train_epochs": None if options.train_step else self.epochs,
            **{name: getattr(options, name) for name in same.split()},
            "do_lower_case": self.tokenizer.lower_case,
            "config": self.config.to_dict(),
            "vocabulary": self.tokenizer.fingerprint,
            **{f"{split}_sha256": task.fingerprint(split, options.data_dir) for split in ("train", "dev")},
            "init_sha256": self.source.fingerprint() if self.source else "",
            "few_shot": options.few_shot or None,
            "prompt": self.prompt(),
            "task_settings": task.settings or None,
            "columns": describe(task)["columns"] | {"regression": options.regression} if options.custom else None,
        }

    def prompt(self) -> dict[str, Any] | None:
        """The prompt of a task that is asked as a cloze, for JSON."""
        return dataclasses.asdict(self.task.prompt) if self.task.head.kind == "cloze" else None

    def train_rows(self, say: bool = False) -> list[Any]:
        """The training rows, few-shot ones as the model was trained on."""
        task, options = self.task, self.options
        rows = self.rows("train")
        settings = {"few_shot": options.few_shot, "random_seed": options.random_seed}
        if not options.do_train:
            settings = self.about(METRICS_FILE).get("settings", {})
        count = settings.get("few_shot")
        if not count:
            return rows
        few = task.sample(rows, count, settings["random_seed"])
        if say:
            print(f"few-shot: {few_shot_note(task, rows, few, count)}", flush=True)
            self.few_shot = {"rows": len(few), "of": len(rows), "rows_per_label": count}
            if not task.labels:
                del self.few_shot["rows_per_label"]
        return few
