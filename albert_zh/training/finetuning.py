"""Fine-tuning: labelled rows and a checkpoint to the best model by dev, its scores and its predictions."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from albert_zh import pretrained
from albert_zh.config import AlbertConfig
from albert_zh.convert.weights import variable_names
from albert_zh.files import InputError, read_json, sha256, write_json
from albert_zh.models.heads import AlbertForClassification
from albert_zh.tasks import Task, get_task
from albert_zh.tasks.baselines import trivial_baselines
from albert_zh.text.tokenizer import load_tokenizer
from albert_zh.training import strategy as devices
from albert_zh.training.batches import FeatureBatches
from albert_zh.training.checkpoints import RUN_FILE, Checkpoints, claim_folder
from albert_zh.training.loop import Loop
from albert_zh.training.objectives import ClassificationObjective
from albert_zh.training.optimizers import published_rule, schedule
from albert_zh.training.options import FINETUNE_COMPILE_FROM, FinetuneOptions
from albert_zh.training.trainer import Plan, finished_weights, train

TASK_FILE, METRICS_FILE = "task.json", "metrics.json"


def run(options: FinetuneOptions) -> dict[str, Any]:
    """Fine-tunes once, scores and predicts as the options say; ``sweep.run`` is for several learning rates.

    Returns:
        The content of ``metrics.json``: task, settings, dev and test scores, trivial baselines, the update kept.

    Raises:
        InputError: files that cannot be used, an output folder of another run, a non-finite loss.
    """
    return _Finetuning(options).run()


def finished_files(task: Task) -> tuple[str, ...]:
    """Patterns of the files, weights and logs aside, that say what a finished run came to."""
    submissions = task.submission.files.values() if task.submission else ()
    return TASK_FILE, METRICS_FILE, "*_predictions.tsv", *submissions


class _Finetuning:
    def __init__(self, options: FinetuneOptions):
        self.strategy = devices.from_options(options)
        self.chief = devices.is_chief(self.strategy)
        self.options, self.folder = options, Path(options.output_dir)
        self.task = get_task(options.task_name)
        recipe = self.task.recipe
        self.batch_size = options.train_batch_size or recipe.batch_size
        self.peak_rate = recipe.learning_rate if options.learning_rate is None else options.learning_rate
        self.epochs = options.num_train_epochs or recipe.epochs
        self.source = self._find_weights()
        own = self.source and not options.warm_start
        self.config = self.source.config if own else AlbertConfig.from_json(options.bert_config_file)
        answering = {} if options.do_train else self._about(TASK_FILE)  # a finished model's own settings hold
        self.length = options.max_seq_length or answering.get("max_seq_length") or recipe.max_seq_length
        self.lower_case = answering.get("lower_case", options.do_lower_case)
        self._check_source()
        given = options.spm_model_file or options.vocab_file
        flag = "--spm_model_file" if options.spm_model_file else "--vocab_file"
        self.vocabulary = pretrained.vocabulary_of(self.source, given or None, flag)
        pieces = self.vocabulary.suffix == ".model"
        self.tokenizer = load_tokenizer(
            vocab_file=None if pieces else self.vocabulary,
            spm_model_file=self.vocabulary if pieces else None,
            lower_case=self.lower_case,
        )
        if self.tokenizer.vocab_size > self.config.vocab_size:
            raise InputError(
                f"{self.vocabulary}: {self.tokenizer.vocab_size} entries, but the config's vocab_size is "
                f"{self.config.vocab_size}. Give the vocabulary that belongs to the model."
            )

    def _find_weights(self):
        """The model to start from, or without training to use: --init_checkpoint, else the finished --output_dir."""

        options, given = self.options, self.options.init_checkpoint
        config = None if options.warm_start else options.bert_config_file or None
        if options.do_train:
            return pretrained.find(given, config) if given else None
        finished = (self.folder / TASK_FILE).is_file()
        if not given and not finished:
            raise InputError(
                f"{self.folder}: no finished fine-tuned model there (no {TASK_FILE}). Train it with --do_train=true, "
                "or name a fine-tuned folder with --init_checkpoint."
            )
        source = pretrained.find(given or self.folder, config)
        if source.classes:
            own = source.folder.resolve() == self.folder.resolve()
            if not own and (finished or (self.folder / RUN_FILE).exists()):
                raise InputError(
                    f"{self.folder}: holds another run than --init_checkpoint={given}. Give another --output_dir, or "
                    "leave --init_checkpoint out to use the model held there."
                )
            return source
        if finished:  # as the earlier scripts were called: the pretrained model named, the fine-tuned one used
            print(f"{given}: has no classifier; using the fine-tuned model of {self.folder}", flush=True)
            return pretrained.find(self.folder, config)
        raise InputError(
            f"{source.where}: a pretrained checkpoint, without a classifier (no output_weights): it cannot answer. "
            "Fine-tune it with --do_train=true, or give a fine-tuned folder."
        )

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
        wanted, held = self.task.head.outputs, self._about(TASK_FILE)
        classes = (self.source and self.source.classes) or wanted
        other = not self.options.do_train and held.get("labels", list(self.task.labels)) != list(self.task.labels)
        if other or classes != wanted:
            raise InputError(
                f"{self.source.where}: its classifier is that of another task"
                f"{' (' + held['task'] + ')' if 'task' in held else ''}: {classes} classes, {self.task.name} has "
                f"{wanted}. Give its own --task_name, or start from the pretrained checkpoint."
            )

    # The parts of a run

    def _features(self, rows, say: str = ""):
        features = self.task.featurize(rows, self.tokenizer, self.length)
        if say:
            cut = f", {features.truncated} cut to {self.length} tokens" if features.truncated else ""
            print(f"{say}: {len(rows):,} rows{cut}", flush=True)
        return features

    def _loop(self, steps: int):
        options = self.options
        with self.strategy.scope():
            model = AlbertForClassification(
                self.config, self.task.head.outputs, seed=options.random_seed, dtype=options.precision
            )
        if self.source:
            print(pretrained.fill(model, self.source, warm=options.warm_start), flush=True)
        else:
            print("no --init_checkpoint: random weights; expect little above the trivial baselines", flush=True)
        self.compiled = options.jit_compile == "on" or (
            options.jit_compile == "auto" and steps >= FINETUNE_COMPILE_FROM
        )
        return Loop(
            model,
            variable_names(model),
            ClassificationObjective(),
            self.strategy,
            optimizer=published_rule(options.optimizer, self.config.family),
            jit_compile=self.compiled,
            any_shape=not self.compiled,
            seed=options.random_seed,
        )

    def _identity(self) -> dict[str, object]:
        """What two runs must share for one to go on where the other stopped; files by what they hold."""
        options, task = self.options, self.task
        same = (
            "init_checkpoint warm_start optimizer precision random_seed jit_compile warmup_proportion do_lower_case "
            "eval_steps"
        )
        return {
            "kind": "fine-tuning",
            "task": self.task.name,
            "max_seq_length": self.length,
            "train_batch_size": self.batch_size,
            "learning_rate": self.peak_rate,
            "num_train_epochs": self.epochs,
            **{name: getattr(options, name) for name in same.split()},
            "config": self.config.to_dict(),
            "vocabulary": self.tokenizer.fingerprint,
            **{f"{split}_sha256": sha256(task.find(split, options.data_dir)) for split in ("train", "dev")},
            "init_sha256": self.source.fingerprint() if self.source else "",
        }

    def run(self) -> dict[str, Any]:
        options, task = self.options, self.task
        print(f"devices: {devices.describe(self.strategy)}", flush=True)
        # Everything is read before anything is computed: a bad row in test should not show after an hour of training.
        rows = {"train": task.read("train", options.data_dir)} if options.do_train else {}
        if options.do_train or options.do_eval:
            rows["dev"] = task.read("dev", options.data_dir)
        tests = [s for s in task.files if s not in ("train", "dev") and task.has(s, options.data_dir)]
        if options.do_predict:
            if not tests:
                task.find("test", options.data_dir)  # raises, and says what was looked for
            rows |= {split: task.read(split, options.data_dir) for split in tests}
        features = {split: self._features(rows[split], split) for split in rows}
        if options.do_train and not self._finished():
            metrics = {"task": task.name, "settings": self._identity()} | self._train(features)
        else:
            if options.do_train:
                self.source = pretrained.find(self.folder)
            metrics = self._earlier_metrics()
            if options.do_train and all(split in metrics["scored"] for split in rows if split != "train"):
                print(f"{self.folder}: finished before, nothing to do", flush=True)
                return metrics
            self.loop = self._loop(0)
        metrics["settings"]["data_dir"] = options.data_dir
        scores = self._score(rows, features)
        for name in ("baselines", "scored"):
            scores[name] = metrics.get(name, {}) | scores[name]
        metrics |= scores
        if self.chief:
            self._write(metrics)
        return metrics

    def _finished(self) -> bool:
        """Whether the folder holds the end of just this training."""

        if self.options.overwrite or not all((self.folder / f).exists() for f in (RUN_FILE, METRICS_FILE, TASK_FILE)):
            return False
        return read_json(self.folder / RUN_FILE) == json.loads(json.dumps(self._identity()))

    def _earlier_metrics(self) -> dict[str, Any]:
        """What is known of the model that is used, without scores of files that are not those of --data_dir now."""
        task, data_dir = self.task, self.options.data_dir
        metrics = {"task": task.name, "settings": {}, "scored": {}, "baselines": {}} | self._about(METRICS_FILE)
        for split in task.files:
            held = task.has(split, data_dir) and sha256(task.find(split, data_dir)) == metrics["scored"].get(split)
            if not held or not (self.folder / f"{split}_predictions.tsv").is_file():
                for values in (metrics, metrics["scored"], metrics["baselines"]):
                    values.pop(split, None)
        return metrics

    def _train(self, features) -> dict[str, Any]:
        options, train_set = self.options, features["train"]
        per_epoch = math.ceil(len(train_set) / self.batch_size)
        steps = max(math.ceil(per_epoch * self.epochs), 1)
        self.loop = self._loop(steps)
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
            train_set.input_ids,
            train_set.segment_ids,
            train_set.labels,
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
            logits, loss = self._answer(features["dev"], loss=True)
            scores = self.task.score(self.task.decode(logits, features["dev"]), features["dev"].rows)
            return {"loss": loss, **scores}

        metric = self.task.main_metric
        print(
            f"batch: {self.batch_size} rows, {steps:,} updates = {self.epochs:g} epochs of {len(train_set):,} rows; "
            f"padded to {', '.join(map(str, batches.widths[:12]))}{' …' if len(batches.widths) > 12 else ''}; "
            f"rate {self.peak_rate:.3g}, {options.optimizer}, {'compiled' if self.compiled else 'not compiled'}",
            flush=True,
        )
        plan = Plan(
            steps=steps,
            batch=batch,
            rate=schedule(self.peak_rate, int(steps * options.warmup_proportion), steps),
            describe_batch=lambda step: ", ".join(train_set.rows[int(r)].where for r in batches.rows(step)[:3]) + " …",
            evaluate=evaluate,
            quality=lambda scores: scores[metric],
            line=lambda scores: f"loss {scores['loss']:.4f} {metric} {scores[metric]:.2%}",
            evaluate_every=options.eval_steps or max(per_epoch // 4, 1),
            log_every=max(steps // 200, 1),
        )
        checkpoints = Checkpoints(self.folder, keep=1)
        outcome = train(self.loop, plan, checkpoints, chief=self.chief)
        finished_weights(self.loop, checkpoints)
        return {
            "best_step": outcome.best_step,
            "steps": steps,
            "seconds": round(outcome.seconds, 1),
            "parameters": self.loop.model.count_params(),
        }

    def _answer(self, features, loss: bool = False):
        """Logits (n, C) of all sequences, and the mean loss where there are labels."""

        batches = FeatureBatches(
            features.input_ids,
            features.segment_ids,
            features.labels,
            size=self.options.eval_batch_size,
            pad_id=self.tokenizer.pad_id,
            widths=4 if self.compiled else 0,
        )
        parts = batches.by_length()
        outputs = [
            self.loop.predict(batches.read(rows, batches.size if self.compiled else len(rows)), "logits")[: len(rows)]
            for rows in parts
        ]
        logits = np.empty((len(features), outputs[0].shape[1]), np.float32)
        logits[np.concatenate(parts)] = np.concatenate(outputs)
        if not loss:
            return logits
        highest = logits.max(axis=1, keepdims=True)
        log_sum = np.log(np.exp(logits - highest).sum(axis=1)) + highest[:, 0]
        return logits, float(np.mean(log_sum - logits[np.arange(len(logits)), features.labels]))

    def _score(self, rows, features) -> dict[str, Any]:
        """Dev scores, test answers, the baselines beside them; writes predictions and submission files.

        ``scored`` holds the SHA-256 of each file answered: other rows under its name are then told from it.
        """

        options, task, result = self.options, self.task, {}
        train_rows = rows.get("train") or (
            task.read("train", options.data_dir) if task.has("train", options.data_dir) else ()
        )
        result |= {"baselines": {}, "scored": {}}
        for split in rows:
            if split == "train":
                continue
            predictions = task.decode(self._answer(features[split]), features[split])
            result["scored"][split] = sha256(task.find(split, options.data_dir))
            known = all(row.label is not None for row in rows[split])
            result[split] = task.score(predictions, rows[split]) if known else {"rows": len(rows[split])}
            if known and train_rows:
                result["baselines"][split] = {
                    baseline.name: baseline.accuracy for baseline in trivial_baselines(train_rows, rows[split])
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
        metric = self.task.main_metric
        beside = ", ".join(f"{name} {value:.2%}" for name, value in baselines.items())
        if not baselines:
            beside, baselines = "no train file, so no trivial baselines", {"": 0.0}
        interval = f" (95%: {scores[f'{metric}_low']:.2%} to {scores[f'{metric}_high']:.2%})"
        best = max(baselines.values())
        verdict = (
            "clearly above the trivial baselines"
            if scores[f"{metric}_low"] > best
            else "not clearly above the trivial baselines"
            if scores[metric] > best
            else "at or below a trivial baseline: this model learned little"
        )
        print(f"{split} {metric} {scores[metric]:.2%}{interval} | {beside} | {verdict}", flush=True)

    def _write(self, metrics: dict[str, Any]) -> None:
        """The finished folder: model, vocabulary, metrics, and last task.json, which marks it as complete."""

        write_json(self.folder / METRICS_FILE, metrics)
        if not self.options.do_train:
            return
        pretrained.write_model(self.loop.model, self.folder, pretrained.Companions(self.vocabulary))
        write_json(
            self.folder / TASK_FILE,
            {
                "task": self.task.name,
                "kind": self.task.kind,
                "labels": list(self.task.labels),
                "label_names": [self.task.label_names.get(label, label) for label in self.task.labels],
                "max_seq_length": self.length,
                "lower_case": self.lower_case,
                "tokenizer": "sentencepiece" if self.vocabulary.suffix == ".model" else "wordpiece",
            },
        )
        for file in self.folder.glob("model.ckpt-*"):  # what a resume would have needed
            file.unlink()
        print(f"finished: {self.folder} (model, task.json, metrics.json, predictions)", flush=True)
