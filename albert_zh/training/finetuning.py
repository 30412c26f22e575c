"""Fine-tuning: labelled rows and a checkpoint to the best model by dev, its scores and its predictions."""

from __future__ import annotations

import functools
import json
import math
from typing import Any

import numpy as np

from albert_zh import layouts, pretrained
from albert_zh.files import InputError, read_json, write_json
from albert_zh.models.token_heads import gathered
from albert_zh.tasks import Row, Task
from albert_zh.tasks.baselines import level
from albert_zh.tasks.cloze import NO_CONTENT
from albert_zh.tasks.custom import describe
from albert_zh.training import strategy as devices
from albert_zh.training.batches import FeatureBatches
from albert_zh.training.checkpoints import RUN_FILE, Checkpoints, claim_folder
from albert_zh.training.optimizers import schedule
from albert_zh.training.options import FinetuneOptions
from albert_zh.training.setup import METRICS_FILE, Setup, Share
from albert_zh.training.task_options import columns_note
from albert_zh.training.trainer import Plan, Stop, finished_weights, train

#: Updates below which a few-shot run is told to take more epochs: the recipes' epochs are meant for thousands of rows.
FEW_UPDATES = 100


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


class Finetuning(Setup):
    """One run.

    Args:
        options, share, stop: see ``run`` of this module.

    Raises:
        InputError: see ``Setup``.
    """

    def __init__(self, options: FinetuneOptions, share: Share | None = None, stop: Stop | None = None):
        super().__init__(options, share)
        self.stop = stop

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
        features = {split: self.features(split, rows[split]) for split in rows}
        if options.do_train:
            self.micro_batch, self.accumulate = self.micro_batches(features["train"])
        trains = options.do_train and not self._finished()
        if trains:
            metrics = {"task": task.name, "settings": self.identity()} | self._train(features)
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
        scores = self._score(rows, features, tune=trains)
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
        held, mine = read_json(self.folder / RUN_FILE), json.loads(json.dumps(self.identity()))
        return all(held.get(key) == mine.get(key) for key in held | mine)

    def _earlier_metrics(self) -> dict[str, Any]:
        """What is known of the model that is used, without scores of files that are not those of --data_dir now."""
        task, data_dir = self.task, self.options.data_dir
        metrics = {"task": task.name, "settings": {}, "scored": {}, "baselines": {}} | self.about(METRICS_FILE)
        for split in task.files:
            held = task.has(split, data_dir) and task.fingerprint(split, data_dir) == metrics["scored"].get(split)
            if not held or not (self.folder / f"{split}_predictions.tsv").is_file():
                for values in (metrics, metrics["scored"], metrics["baselines"]):
                    values.pop(split, None)
        return metrics

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
        self.loop = self.loop_for(steps, self.accumulate)
        if self.chief:
            # Not before the weights were read: what cannot be used leaves no folder behind.
            claim_folder(
                self.folder,
                self.identity(),
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
        share = self.micro_batch * self.accumulate

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
        held = f" ({self.micro_batch} at once on a device)" if self.accumulate > 1 else ""
        print(
            f"batch: {self.batch_size} rows{held}, {steps:,} updates = {epochs:.3g} epochs of {examples:,} rows; "
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
        if self.task.head.kind != "cloze" or self.options.do_train or self.about(pretrained.TASK_FILE):
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
        outputs = (
            self.loop.predict(batches.read(rows, batches.size if self.compiled else len(rows)), "logits")[: len(rows)]
            for rows in parts
        )
        return gathered(zip(parts, outputs, strict=True), batches.lengths)

    def _score(self, rows, features, *, tune: bool) -> dict[str, Any]:
        """Dev scores, test answers, the baselines beside them; writes predictions and submission files.

        With ``tune`` the task is first made the one that is best on dev, the first split answered. ``scored`` holds the
        SHA-256 of each file answered: other rows under its name are then told from it.
        """

        options, task = self.options, self.task
        result: dict[str, Any] = {"baselines": {}, "scored": {}}
        train_rows = rows.get("train") or (self.train_rows() if task.has("train", options.data_dir) else ())
        for split in rows:
            if split == "train":
                continue
            predictions = self._predictions(features[split])
            if tune and split == "dev":
                self.task = task = task.tuned(predictions, rows[split])
                predictions = task.retold(predictions)
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
        verdict = {
            "above": "clearly above the trivial baselines",
            "unsure": "not clearly above the trivial baselines",
            "below": "at or below a trivial baseline: this model learned little",
        }[level(scores[metric], scores[f"{metric}_low"], max(baselines.values()))]
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
                "tokenizer": self.tokenizer.kind,
                **({"settings": settings} if (settings := self.task.settings) else {}),
                **({"custom": describe(self.task)} if self.options.custom else {}),
                **({"prompt": prompt} if (prompt := self.prompt()) else {}),
            },
        )
        for file in self.folder.glob("model.ckpt-*"):  # what a resume would have needed
            file.unlink()
        print(f"finished: {self.folder} (model, task.json, metrics.json, predictions)", flush=True)
