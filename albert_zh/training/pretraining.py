"""Pretraining: records to a checkpoint, with exact resume, for any batch size on any device."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from albert_zh import layouts, pretrained
from albert_zh.config import AlbertConfig
from albert_zh.convert.weights import variable_names
from albert_zh.files import InputError, expand_paths, sha256, write_json
from albert_zh.models.heads import AlbertForPretraining
from albert_zh.pretrain.manifest import find_manifests
from albert_zh.pretrain.records import RecordIndex
from albert_zh.training import strategy as devices
from albert_zh.training.batches import PretrainingBatches, ShuffledOrder
from albert_zh.training.checkpoints import Checkpoints, claim_folder
from albert_zh.training.loop import Loop
from albert_zh.training.objectives import PretrainingObjective
from albert_zh.training.optimizers import published_rule, schedule
from albert_zh.training.options import PRETRAIN_COMPILE_FROM, PretrainOptions
from albert_zh.training.trainer import Plan, finished_weights, train

#: Tokens x layers x H of a micro-batch that most machines hold; on GPUs what fits 12 GB (base, length 512: 4 rows).
MICRO_BATCH_VALUES = {"CPU": 10_000_000, "GPU": 20_000_000}


def run(options: PretrainOptions) -> dict[str, float]:
    """Runs pretraining as the options say.

    Returns:
        Dev scores of the finished model: ``mlm_loss mlm_accuracy sop_loss sop_accuracy`` (nats, shares), and
        ``unigram_loss unigram_accuracy`` of guessing by frequency; empty without do_eval.

    Raises:
        InputError: files that cannot be used, an output folder of another run, a non-finite loss.
    """
    return _Pretraining(options).run()


class _Pretraining:
    def __init__(self, options: PretrainOptions):
        self.options, self.folder = options, Path(options.output_dir)
        self.strategy = devices.from_options(options)
        self.source = None
        origin = options.init_checkpoint or ("" if options.do_train else options.output_dir)
        if origin:
            self.source = pretrained.find(origin, None if options.warm_start else options.bert_config_file or None)
        own = self.source and not options.warm_start
        self.config = self.source.config if own else AlbertConfig.from_json(options.bert_config_file)
        if options.max_seq_length > self.config.max_position_embeddings:
            raise InputError(
                f"--max_seq_length={options.max_seq_length}: the config has only "
                f"{self.config.max_position_embeddings} positions."
            )
        self.vocabulary = self._vocabulary()
        self._check_folders()
        self.chief = devices.is_chief(self.strategy)
        print(f"devices: {devices.describe(self.strategy)}", flush=True)

        def batches(files):
            index = RecordIndex(expand_paths(files))
            return PretrainingBatches(
                index, options.max_seq_length, options.max_predictions_per_seq, self.config.vocab_size
            )

        self.train_batches = batches(options.input_file)
        total = len(self.train_batches.records)
        self.eval_batches, held_out, self.eval_rows = self.train_batches, 0, range(0)
        if options.eval_input_file:
            self.eval_batches = batches(options.eval_input_file)
            self.eval_rows = range(len(self.eval_batches.records))
        elif options.do_eval:
            held_out = min(max(total // 100, 1), options.max_eval_steps * options.eval_batch_size)
            if not options.do_train or total == 1:
                held_out = 0
            self.eval_rows = range(total - held_out, total) if held_out else range(total)
        self.eval_rows = self.eval_rows[: options.max_eval_steps * options.eval_batch_size]
        self.held_out, self.train_rows = held_out, total - held_out
        self.order = ShuffledOrder(self.train_rows, options.random_seed)
        self.micro_batch, self.accumulate = self._micro_batches()
        self.checkpoints = Checkpoints(self.folder, options.keep_checkpoint_max)

    def _check_folders(self) -> None:
        """Raises InputError, before anything is computed, where the finished model could not be left alone."""
        if not (self.options.export_dir and self.options.do_train):
            return
        export, output = Path(self.options.export_dir).resolve(), self.folder.resolve()
        if output.is_relative_to(export):
            raise InputError(
                f"--export_dir={self.options.export_dir}: is, or holds, --output_dir, which gets the finished model "
                "anyway. Leave it out or name another folder."
            )
        if self.source and self.source.folder.resolve() == export:
            raise InputError(
                f"--export_dir={self.options.export_dir}: is the folder of --init_checkpoint, whose weights the "
                "finished model would replace. Name another folder."
            )
        layouts.check_replaceable(export)

    def _vocabulary(self) -> Path | None:
        """The vocabulary the finished model is kept with: the flag's, else the one the records' manifest names.

        Raises:
            InputError: the records, the checkpoint and the flag do not agree on one.
        """

        flag = "--spm_model_file" if self.options.spm_model_file else "--vocab_file"
        given = self.options.spm_model_file or self.options.vocab_file
        own = (given,) if given else self.source.vocabularies if self.source else ()
        hashes = [sha256(path) for path in own if Path(path).is_file()]
        for path, manifest in find_manifests(expand_paths((*self.options.input_file, *self.options.eval_input_file))):
            used, options = manifest["identity"]["vocabulary"], manifest["options"]
            if hashes and used["sha256"] not in hashes:
                raise InputError(
                    f"{path}: made with another vocabulary (sha256 {used['sha256'][:12]}) than "
                    f"{' or '.join(map(str, own))} ({', '.join(known[:12] for known in hashes)}). "
                    "Make the records with the model's vocabulary: create-data --vocab_file."
                )
            if used["size"] > self.config.vocab_size:
                raise InputError(
                    f"{path}: made with a vocabulary of {used['size']:,} entries, but the config's vocab_size is "
                    f"{self.config.vocab_size:,}. Make the records with the vocabulary of the model."
                )
            named = options["spm_model_file"] or options["vocab_file"]
            if not given and Path(named).is_file() and sha256(named) == used["sha256"]:
                given = named
        if not (given or own):
            print("no vocabulary is known for these records: give --vocab_file to keep it with the model", flush=True)
            return None
        return pretrained.vocabulary_of(self.source, given or None, flag)

    def _micro_batches(self) -> tuple[int, int]:
        """Rows of a micro-batch and how many of them a replica accumulates per update."""

        options, replicas = self.options, self.strategy.num_replicas_in_sync
        if options.train_batch_size % replicas:
            raise InputError(
                f"--train_batch_size={options.train_batch_size}: not a multiple of the {replicas} devices."
            )
        rows = options.train_batch_size // replicas
        limit = options.micro_batch_size or devices.rows_at_once(
            self.config, options.max_seq_length, MICRO_BATCH_VALUES
        )
        if options.micro_batch_size and rows % min(options.micro_batch_size, rows):
            raise InputError(
                f"--micro_batch_size={options.micro_batch_size}: does not divide the {rows} rows of a device."
            )
        micro = next(size for size in range(min(limit, rows), 0, -1) if rows % size == 0)
        return micro, rows // micro

    def _identity(self) -> dict[str, object]:
        """What two runs must share for one to go on where the other stopped."""
        options = self.options
        same = (
            "max_seq_length max_predictions_per_seq train_batch_size num_train_steps optimizer clip_norm "
            "init_checkpoint warm_start precision random_seed jit_compile"
        ).split()
        return {
            "kind": "pretraining",
            "config": self.config.to_dict(),
            "records": self.train_rows,
            "record_lengths_sha256": self.train_batches.records.fingerprint,
            # Which weights were best is known of one dev set alone.
            "dev_records": len(self.eval_rows) if options.do_eval else 0,
            "dev_lengths_sha256": self.eval_batches.records.fingerprint if options.do_eval else "",
            "input_file": [str(path) for path in expand_paths(options.input_file)],
            "learning_rate": options.peak_rate,
            "num_warmup_steps": options.warmup_steps,
            "micro_batch_size": self.micro_batch,
            **{name: getattr(options, name) for name in same},
        }

    def _announce(self) -> None:
        options = self.options
        replicas = self.strategy.num_replicas_in_sync
        held_out = (
            f", the last {self.held_out:,} kept out for dev (the same sentences may be trained on under other masks; "
            "create-data --dev_share keeps whole documents out)"
            if self.held_out
            else ""
        )
        print(
            f"model: {self.config.family}, {self.config.num_hidden_layers} layers, hidden {self.config.hidden_size}, "
            f"{self.model.count_params():,} parameters\n"
            f"records: {self.train_rows:,} to train on"
            + held_out
            + f"\nbatch: {options.train_batch_size} rows of {options.max_seq_length} tokens an update = "
            f"{replicas} device(s) x {self.accumulate} x {self.micro_batch}; "
            f"{options.num_train_steps:,} updates = "
            f"{options.num_train_steps * options.train_batch_size / self.train_rows:.1f} passes over the records\n"
            f"rate: {options.peak_rate:.3g} after {options.warmup_steps:,} updates of warm-up, {options.optimizer}"
            + ("" if options.learning_rate is not None else " (published rate, scaled by the root of the batch)"),
            flush=True,
        )

    def run(self) -> dict[str, float]:
        options = self.options
        with self.strategy.scope():
            model = AlbertForPretraining(self.config, seed=options.random_seed, dtype=options.precision)
        if self.source:
            print(pretrained.fill(model, self.source, warm=options.warm_start), flush=True)
        self.model = model
        compiled = options.jit_compile == "on" or (
            options.jit_compile == "auto" and options.do_train and options.num_train_steps >= PRETRAIN_COMPILE_FROM
        )
        self.loop = Loop(
            model,
            variable_names(model),
            PretrainingObjective(),
            self.strategy,
            optimizer=published_rule(options.optimizer, self.config.family),
            clip_norm=options.clip_norm,
            accumulate=self.accumulate,
            jit_compile=compiled,
            seed=options.random_seed,
        )
        self._announce()
        if options.do_train:
            if self.chief:
                claim_folder(self.folder, self._identity(), overwrite=options.overwrite, source=self.source)
                # From the start, so that the checkpoints of a run that was stopped can be used as well.
                layouts.write_description(self.config, self.folder, vocabulary=self.vocabulary)
            self._train()
            finished_weights(self.loop, self.checkpoints)
        scores: dict[str, float] = {}
        if options.do_eval:
            scores = self._evaluate() | self._unigram_baseline()
            print(
                f"dev: {_line(scores)} [loss in nats (accuracy)]\n"
                f"  beside it: guessing by frequency alone gives mlm {scores['unigram_loss']:.4f} "
                f"({scores['unigram_accuracy']:.2%}), guessing the order sop {math.log(2):.4f} (50.00%)",
                flush=True,
            )
            if self.chief:
                write_json(self.folder / "eval_results.json", scores)
        if self.chief and options.do_train:
            self._finish()
        return scores

    def _evaluate(self) -> dict[str, float]:
        options, replicas = self.options, self.strategy.num_replicas_in_sync
        share = max(options.eval_batch_size // replicas, 1)

        def batch(number):
            rows = self.eval_rows[number * share * replicas : (number + 1) * share * replicas]

            def part(replica, _):
                mine = rows[replica * share : (replica + 1) * share]
                # A replica without rows reads one that counts for nothing.
                filled = self.eval_batches.read(list(mine or rows[:1]), share)
                if not mine:
                    filled["row_weights"][:], filled["masked_lm_weights"][:] = 0.0, 0.0
                return filled

            return self.loop.distribute(part)

        count = math.ceil(len(self.eval_rows) / (share * replicas))
        return self.loop.evaluate(batch(number) for number in range(count))

    def _unigram_baseline(self) -> dict[str, float]:
        """Loss and accuracy on dev of the frequencies of the training targets (add-one smoothed), context unseen."""

        def targets(batches, rows):
            batch = batches.read(rows)
            return batch["masked_lm_ids"][batch["masked_lm_weights"] > 0]

        train = targets(self.train_batches, [int(row) for row in self.order.rows(0, min(self.train_rows, 4096))])
        dev = targets(self.eval_batches, list(self.eval_rows[:4096]))
        counts = np.bincount(train, minlength=self.config.vocab_size) + 1.0
        loss = -np.log(counts / counts.sum())[dev].mean()
        return {"unigram_loss": float(loss), "unigram_accuracy": float((dev == counts.argmax()).mean())}

    def _batch(self, step: int):
        options = self.options
        share = options.train_batch_size // self.strategy.num_replicas_in_sync

        def part(replica, _):
            rows = self.order.rows(step * options.train_batch_size + replica * share, share)
            return self.train_batches.read([int(row) for row in rows])

        return self.loop.distribute(part)

    def _train(self) -> None:
        options = self.options
        plan = Plan(
            steps=options.num_train_steps,
            batch=self._batch,
            rate=schedule(options.peak_rate, options.warmup_steps, options.num_train_steps),
            describe_batch=self._describe_batch,
            evaluate=self._evaluate if options.do_eval else None,
            quality=lambda scores: -(scores["mlm_loss"] + scores["sop_loss"]),
            line=_line,
            evaluate_every=options.save_checkpoints_steps,
            log_every=options.log_steps or max(options.num_train_steps // 500, 1),
            evaluate_first=self.source is not None,
        )
        train(self.loop, plan, self.checkpoints, chief=self.chief)

    def _describe_batch(self, step: int) -> str:
        size = self.options.train_batch_size
        rows = self.order.rows(step * size, size)
        first, last = (self.train_batches.records.describe(int(row)) for row in (rows[0], rows[-1]))
        return f"batch of {size} rows, {first} … {last}"

    def _finish(self) -> None:
        """Leaves the finished model in the output folder and, alone, in ``export_dir``."""

        layouts.write_model(self.model, self.folder, layouts.Companions(self.vocabulary))
        if self.options.export_dir:
            layouts.save_pretrained(self.model, self.options.export_dir, vocabulary=self.vocabulary)
            print(f"finished model: {self.options.export_dir}")
        print(f"finished: {self.folder} (albert_model.ckpt, albert_config.json, log.csv, tensorboard/)", flush=True)


def _line(scores: dict[str, float]) -> str:
    return (
        f"mlm {scores['mlm_loss']:.4f} ({scores['mlm_accuracy']:.2%}) "
        f"sop {scores['sop_loss']:.4f} ({scores['sop_accuracy']:.2%})"
    )
