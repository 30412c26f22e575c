"""Fine-tuning: labelled rows and a checkpoint to the best model by dev, its scores and its predictions."""

from __future__ import annotations

import dataclasses
import functools
import gc
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from albert_zh import layouts, pretrained
from albert_zh.config import AlbertConfig
from albert_zh.convert.weights import variable_names
from albert_zh.files import InputError, default_home, read_json, write_json
from albert_zh.models.by_head import model_for
from albert_zh.models.token_heads import PADDING_SCORE
from albert_zh.tasks import Features, Row, Task
from albert_zh.tasks.cloze import NO_CONTENT
from albert_zh.tasks.custom import describe
from albert_zh.training import strategy as devices
from albert_zh.training.batches import FeatureBatches
from albert_zh.training.checkpoints import RUN_FILE, Checkpoints, claim_folder
from albert_zh.training.feature_cache import KEPT_FROM, cached
from albert_zh.training.loop import Loop
from albert_zh.training.objectives import OBJECTIVES
from albert_zh.training.optimizers import published_rule, schedule
from albert_zh.training.options import FINETUNE_COMPILE_FROM, FinetuneOptions
from albert_zh.training.task_options import asked_as_cloze, columns_note, few_shot_note, task_from, with_settings
from albert_zh.training.trainer import Plan, Stop, finished_weights, train

METRICS_FILE = "metrics.json"
_TOKEN_HEADS = ("span", "tagging", "crf")
#: What a head without labels of its own answers with.
_ANSWERS = {"regression": "a number", "choice": "one of several texts", "span": "a piece of a passage"}
#: Updates below which a few-shot run is told to take more epochs: the recipes' epochs are meant for thousands of rows.
FEW_UPDATES = 100


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


def run(options: FinetuneOptions, share: Share | None = None, stop: Stop | None = None) -> dict[str, Any]:
    """Fine-tunes once, scores and predicts as the options say; ``sweep.run`` is for several learning rates.

    Args:
        options: of the run.
        share: of the runs before it that differ in learning rate, seed and folder alone; the result is the same.
        stop: ends the run early; see ``trainer.Plan``.

    Returns:
        The content of ``metrics.json``: task, settings, dev and test scores, trivial baselines, the update kept.

    Raises:
        InputError: files that cannot be used, an output folder of another run, a non-finite loss.
    """
    return Finetuning(options, share, stop).run()


def finished_files(task: Task) -> tuple[str, ...]:
    """Patterns of the files, weights and logs aside, that say what a finished run came to."""
    submissions = task.submission.files.values() if task.submission else ()
    return pretrained.TASK_FILE, METRICS_FILE, "*_predictions.tsv", *submissions


class Finetuning:
    """One run: what the options name is found and checked at once, then ``run`` does it.

    Args:
        options, share, stop: see ``run`` of this module.

    Raises:
        InputError: the task, the weights or the vocabulary cannot be used, or do not fit each other.
    """

    def __init__(self, options: FinetuneOptions, share: Share | None = None, stop: Stop | None = None):
        self.share, self.stop = share or Share(), stop
        self.strategy = devices.from_options(options)
        self.chief = devices.is_chief(self.strategy)
        self.options, self.folder = options, Path(options.output_dir)
        # Before the weights: a bad row should not show after a download.
        self.task = task_from(options) if options.do_train or not options.custom else None
        self.source = self._find_weights()
        answering = (
            {} if options.do_train else self._about(pretrained.TASK_FILE)
        )  # a finished model's own settings hold
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
        if not options.custom:  # what this call gives comes before what the model was trained with
            self.task = with_settings(self.task, options)
        self.objective = OBJECTIVES[self.task.head.kind]()
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

    def _about(self, name: str) -> dict[str, Any]:
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
        head, held = self.task.head, self._about(pretrained.TASK_FILE)
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

    def _features(self, split: str, rows: list[Any]) -> Features:
        key = (split, self.options.few_shot and self.options.random_seed)  # few-shot rows are drawn with the seed
        if key not in self.share.features:
            features = cached(
                self._cache_folder(len(rows)),
                self._made_from(split),
                rows,
                lambda: self.task.featurize(rows, self.tokenizer, self.length),
            )
            self.share.features[key] = features
            cut = f", {features.truncated:,} cut to {self.length} tokens" if features.truncated else ""
            made = len(features) // features.choices
            windows = f" in {made:,} windows" if made != len(rows) else ""
            print(f"{split}: {len(rows):,} rows{windows}{cut}", flush=True)
        return self.share.features[key]

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
            "prompt": self._prompt(),
            "tokenizer": [tokenizer.fingerprint, tokenizer.lower_case],
            "max_seq_length": self.length,
        }

    def loop_for(self, steps: int):
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
        key = (self.config, head, options.precision, rule, self.compiled)
        if held := self.share.loop.get(key):
            for mine, its in zip(held.model.trainable_variables, model.trainable_variables, strict=True):
                mine.assign(its)
            held.begin_again(options.random_seed)
            return held
        names = variable_names(model)
        if head.kind == "cloze":  # decay would wear off a pooler that takes no part
            names = {name: variable for name, variable in names.items() if not name.startswith("bert/pooler/")}
        loop = Loop(
            model,
            names,
            self.objective,
            self.strategy,
            optimizer=rule,
            jit_compile=self.compiled,
            any_shape=not self.compiled,
            seed=options.random_seed,
        )
        self.share.loop = {key: loop}  # one at a time: a second one would hold its memory for nothing
        return loop

    def _identity(self) -> dict[str, object]:
        """What two runs must share for one to go on where the other stopped; files by what they hold."""
        options, task = self.options, self.task
        same = "init_checkpoint warm_start optimizer precision random_seed jit_compile warmup_proportion eval_steps"
        same += " train_step warmup_step"
        return {
            "kind": "fine-tuning",
            "task": self.task.name,
            "max_seq_length": self.length,
            "train_batch_size": self.batch_size,
            "learning_rate": self.peak_rate,
            "num_train_epochs": None if options.train_step else self.epochs,
            **{name: getattr(options, name) for name in same.split()},
            "do_lower_case": self.tokenizer.lower_case,
            "config": self.config.to_dict(),
            "vocabulary": self.tokenizer.fingerprint,
            **{f"{split}_sha256": task.fingerprint(split, options.data_dir) for split in ("train", "dev")},
            "init_sha256": self.source.fingerprint() if self.source else "",
            "few_shot": options.few_shot or None,
            "prompt": self._prompt(),
            "task_settings": task.settings or None,
            "columns": describe(task)["columns"] | {"regression": options.regression} if options.custom else None,
        }

    def _prompt(self) -> dict[str, Any] | None:
        """The prompt of a task that is asked as a cloze, for JSON."""
        return dataclasses.asdict(self.task.prompt) if self.task.head.kind == "cloze" else None

    def run(self) -> dict[str, Any]:
        options, task = self.options, self.task
        print(f"devices: {devices.describe(self.strategy)}", flush=True)
        devices.forget_peak_memory()
        if options.custom:
            print(columns_note(task), flush=True)
        # Everything is read before anything is computed: a bad row in test should not show after an hour of training.
        rows = {"train": self.train_rows(say=True)} if options.do_train else {}
        if options.do_train or options.do_eval:
            rows["dev"] = self.rows("dev")
        if options.do_eval:
            rows |= {split: self.rows(split) for split in task.further_dev(options.data_dir)}
        if options.do_predict:
            tests = task.tests(options.data_dir)
            if not tests:
                task.find("test", options.data_dir)  # raises, and says what was looked for
            rows |= {split: self.rows(split) for split in tests}
        features = {split: self._features(split, rows[split]) for split in rows}
        if options.do_train and not self._finished():
            metrics = {"task": task.name, "settings": self._identity()} | self._train(features)
        else:
            if options.do_train:
                self.source = pretrained.find(self.folder)
            metrics = self._earlier_metrics()
            if options.do_train and all(split in metrics["scored"] for split in rows if split != "train"):
                print(f"{self.folder}: finished before, nothing to do", flush=True)
                return metrics
            self.loop = self.loop_for(0)
        metrics["settings"]["data_dir"] = options.data_dir
        if options.custom:
            metrics["custom"] = describe(task)
        elif options.own_files:
            metrics["files"] = metrics.get("files", {}) | options.own_files
        scores = self._score(rows, features)
        for name in ("baselines", "scored"):
            scores[name] = metrics.get(name, {}) | scores[name]
        metrics |= scores
        if self.chief:
            self._write(metrics)
        return metrics

    def _finished(self) -> bool:
        """Whether the folder holds the end of just this training."""

        if self.options.overwrite or not all(
            (self.folder / f).exists() for f in (RUN_FILE, METRICS_FILE, pretrained.TASK_FILE)
        ):
            return False
        held, mine = read_json(self.folder / RUN_FILE), json.loads(json.dumps(self._identity()))
        return all(held.get(key) == mine.get(key) for key in held | mine)

    def _earlier_metrics(self) -> dict[str, Any]:
        """What is known of the model that is used, without scores of files that are not those of --data_dir now."""
        task, data_dir = self.task, self.options.data_dir
        metrics = {"task": task.name, "settings": {}, "scored": {}, "baselines": {}} | self._about(METRICS_FILE)
        for split in task.files:
            held = task.has(split, data_dir) and task.fingerprint(split, data_dir) == metrics["scored"].get(split)
            if not held or not (self.folder / f"{split}_predictions.tsv").is_file():
                for values in (metrics, metrics["scored"], metrics["baselines"]):
                    values.pop(split, None)
        return metrics

    def train_rows(self, say: bool = False) -> list[Any]:
        """The training rows, few-shot ones as the model was trained on."""
        task, options = self.task, self.options
        rows = self.rows("train")
        settings = {"few_shot": options.few_shot, "random_seed": options.random_seed}
        if not options.do_train:
            settings = self._about(METRICS_FILE).get("settings", {})
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

    def _train(self, features) -> dict[str, Any]:
        """Trains and leaves the best weights by dev in the model, which then answers in the unit of the files."""
        options = self.options
        task = self.task.fitted(features["train"].rows)
        train_set, dev_set = (task.targeted(features[split]) for split in ("train", "dev"))
        examples = len(train_set) // train_set.choices
        per_epoch = math.ceil(examples / self.batch_size)
        steps = options.train_step or max(math.ceil(per_epoch * self.epochs), 1)
        epochs = steps / per_epoch if options.train_step else self.epochs
        warmup = int(steps * options.warmup_proportion) if options.warmup_step is None else options.warmup_step
        if warmup >= steps:
            raise InputError(f"--warmup_step={warmup}: the run has {steps:,} updates. Give fewer.")
        self.loop = self.loop_for(steps)
        if self.chief:
            # Not before the weights were read: what cannot be used leaves no folder behind.
            claim_folder(
                self.folder,
                self._identity(),
                overwrite=options.overwrite,
                source=self.source,
                products=finished_files(self.task),
            )
        batches = FeatureBatches(
            train_set,
            size=self.batch_size,
            pad_id=self.tokenizer.pad_id,
            widths=4 if self.compiled else 0,
            seed=options.random_seed,
        )
        replicas = self.strategy.num_replicas_in_sync
        share = math.ceil(self.batch_size / replicas)

        def batch(step):
            rows = batches.rows(step)
            width = batches.width(rows)
            return self.loop.distribute(lambda replica, _: batches.read(rows[replica * share :][:share], share, width))

        def evaluate():
            logits, weights = self._answer(dev_set), self._decoding_weights()
            predictions = task.decode(logits, dev_set, **weights)
            tuned = task.tuned(predictions, dev_set.rows)
            scores = tuned.score(tuned.retold(predictions), dev_set.rows)
            return {"loss": self.objective.mean_loss(logits, dev_set.labels, **weights), **scores}

        def whence(step):
            rows = (train_set.rows[train_set.row_numbers[int(number)]] for number in batches.rows(step)[:3])
            return ", ".join(row.where for row in rows) + " …"

        def line(scores):
            shown = f" {metric} {task.shown(scores[metric])}" if metric in scores else ""
            return f"loss {scores['loss']:.4f}{shown}"

        metric = task.main_metric
        print(
            f"batch: {self.batch_size} rows, {steps:,} updates = {epochs:.3g} epochs of {examples:,} rows; "
            f"padded to {', '.join(map(str, batches.widths[:12]))}{' …' if len(batches.widths) > 12 else ''}; "
            f"rate {self.peak_rate:.3g}, {options.optimizer}, {'compiled' if self.compiled else 'not compiled'}",
            flush=True,
        )
        if options.few_shot and steps < FEW_UPDATES:
            enough = math.ceil(FEW_UPDATES / per_epoch)
            print(f"note: {steps} updates teach little; --num_train_epochs={enough} makes {FEW_UPDATES}", flush=True)
        plan = Plan(
            steps=steps,
            batch=batch,
            rate=schedule(self.peak_rate, warmup, steps),
            describe_batch=whence,
            evaluate=evaluate,
            quality=lambda scores: scores[metric],
            line=line,
            evaluate_every=options.eval_steps or max(per_epoch // 4, 1),
            log_every=max(steps // 200, 1),
            stop=self.stop,
        )
        checkpoints = Checkpoints(self.folder, keep=1)
        outcome = train(self.loop, plan, checkpoints, chief=self.chief)
        finished_weights(self.loop, checkpoints)
        if (task.head.spread, task.head.mean) != (1, 0):
            self.loop.model.rescale(task.head.spread, task.head.mean)
        dev = features["dev"]
        self.task = self.task.tuned(self._predictions(dev), dev.rows)
        return {
            "best_step": outcome.best_step,
            "steps": steps,
            **({"stopped": outcome.stopped, "stopped_after": outcome.step} if outcome.stopped else {}),
            "memory_mb": devices.peak_memory() // 1_000_000,
            "seconds": round(outcome.seconds, 1),
            "parameters": self.loop.model.count_params(),
            **({"few_shot": self.few_shot} if options.few_shot else {}),
        }

    def _answer(self, features) -> np.ndarray:
        """The head's output for all sequences (n, …), or for all groups of choices; see ``Task.decode``."""
        return self._logits(features) - self._prior

    def _decoding_weights(self) -> dict[str, np.ndarray]:
        return self.loop.model.decoding_weights() if self.task.head.kind == "crf" else {}

    def _predictions(self, features) -> list[Any]:
        return self.task.decode(self._answer(features), features, **self._decoding_weights())

    @functools.cached_property
    def _prior(self) -> np.ndarray | float:
        """What is taken off the logits of an untrained cloze: those of a text that says nothing (serve.zero_shot)."""
        if self.task.head.kind != "cloze" or self.options.do_train or self._about(pretrained.TASK_FILE):
            return 0.0
        nothing = Row("", *[NO_CONTENT] * len(self.task.text_names))
        return self._logits(self.task.featurize([nothing], self.tokenizer, self.length))

    def _logits(self, features) -> np.ndarray:
        batches = FeatureBatches(
            features,
            size=max(self.options.eval_batch_size // features.choices, 1),  # so many sequences, whatever they make up
            pad_id=self.tokenizer.pad_id,
            widths=4 if self.compiled else 0,
        )
        parts = batches.by_length()
        outputs = [
            self.loop.predict(batches.read(rows, batches.size if self.compiled else len(rows)), "logits")[: len(rows)]
            for rows in parts
        ]
        if outputs[0].ndim == 2:
            logits = np.empty((len(batches.lengths), outputs[0].shape[1]), np.float32)
            logits[np.concatenate(parts)] = np.concatenate(outputs)
            return logits
        logits = np.full((len(batches.lengths), batches.lengths.max(), outputs[0].shape[2]), PADDING_SCORE, np.float32)
        for rows, output in zip(parts, outputs, strict=True):  # (B, L, C) of many L
            length = min(output.shape[1], logits.shape[1])
            logits[rows, :length] = output[:, :length]
        return logits

    def _score(self, rows, features) -> dict[str, Any]:
        """Dev scores, test answers, the baselines beside them; writes predictions and submission files.

        ``scored`` holds the SHA-256 of each file answered: other rows under its name are then told from it.
        """

        options, result = self.options, {}
        task = self.task  # as tuned on dev
        train_rows = rows.get("train") or (self.train_rows() if task.has("train", options.data_dir) else ())
        result |= {"baselines": {}, "scored": {}}
        for split in rows:
            if split == "train":
                continue
            predictions = self._predictions(features[split])
            result["scored"][split] = task.fingerprint(split, options.data_dir)
            known = all(map(task.has_gold, rows[split]))
            result[split] = task.score(predictions, rows[split]) if known else {"rows": len(rows[split])}
            if known and train_rows:
                result["baselines"][split] = {
                    baseline.name: baseline.score for baseline in task.trivial_baselines(train_rows, rows[split])
                }
            if self.chief:
                self.folder.mkdir(parents=True, exist_ok=True)
                task.write_predictions(self.folder / f"{split}_predictions.tsv", rows[split], predictions)
                if split != "dev" and task.submission is not None and split in task.submission.files:
                    print(f"submission: {task.write_submission(self.folder, rows[split], predictions, split)}")
            if known:
                self._say(split, result[split], result["baselines"].get(split, {}))
        return result

    def _say(self, split: str, scores: dict[str, float], baselines: dict[str, float]) -> None:
        metric, shown = self.task.main_metric, self.task.shown
        beside = ", ".join(f"{name} {shown(value)}" for name, value in baselines.items())
        if not baselines:
            beside, baselines = "no train file, so no trivial baselines", {"": 0.0}
        interval = f" (95%: {shown(scores[f'{metric}_low'])} to {shown(scores[f'{metric}_high'])})"
        more = "".join(f", {name} {shown(scores[name], name)}" for name in self.task.more_metrics if name != metric)
        best = max(baselines.values())
        verdict = (
            "clearly above the trivial baselines"
            if scores[f"{metric}_low"] > best
            else "not clearly above the trivial baselines"
            if scores[metric] > best
            else "at or below a trivial baseline: this model learned little"
        )
        print(f"{split} {metric} {shown(scores[metric])}{interval}{more} | {beside} | {verdict}", flush=True)

    def _write(self, metrics: dict[str, Any]) -> None:
        """The finished folder: model, vocabulary, metrics, and last task.json, which marks it as complete."""

        write_json(self.folder / METRICS_FILE, metrics)
        if not self.options.do_train:
            return
        layouts.write_model(self.loop.model, self.folder, layouts.Companions(self.tokenizer.path))
        write_json(
            self.folder / pretrained.TASK_FILE,
            {
                "task": self.task.name,
                "kind": self.task.kind,
                "labels": list(self.task.labels),
                "label_names": [self.task.label_names.get(label, label) for label in self.task.labels],
                "max_seq_length": self.length,
                "lower_case": self.tokenizer.lower_case,
                "tokenizer": "sentencepiece" if Path(self.tokenizer.path).suffix == ".model" else "wordpiece",
                **({"settings": settings} if (settings := self.task.settings) else {}),
                **({"custom": describe(self.task)} if self.options.custom else {}),
                **({"prompt": prompt} if (prompt := self._prompt()) else {}),
            },
        )
        for file in self.folder.glob("model.ckpt-*"):  # what a resume would have needed
            file.unlink()
        print(f"finished: {self.folder} (model, task.json, metrics.json, predictions)", flush=True)
