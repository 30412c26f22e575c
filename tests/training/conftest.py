"""Pretraining runs shrunk to milliseconds an update."""

import contextlib
import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest

from albert_zh.training.options import PretrainOptions

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def pretrain_options(tmp_path_factory, tiny_config, random_instances, write_records):
    """``pretrain_options(folder, name=value)``: 8 updates with dropout on 37 records in two files, dev every 3.

    Neither the log's rows (every 2 updates) nor the epochs (33 rows of training) end where the checkpoints do.
    """
    folder = tmp_path_factory.mktemp("pretraining")
    instances = random_instances(37, seed=5)
    config = tiny_config(hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.1)
    config.to_json(folder / "albert_config.json")
    base = PretrainOptions(
        input_file=(
            write_records(folder / "tf1.tfrecord", instances[:20]),
            write_records(folder / "tf2.tfrecord", instances[20:33]),
        ),
        eval_input_file=(write_records(folder / "dev.tfrecord", instances[33:]),),
        output_dir="",
        bert_config_file=str(folder / "albert_config.json"),
        do_train=True,
        do_eval=True,
        max_seq_length=16,
        max_predictions_per_seq=3,
        train_batch_size=8,
        micro_batch_size=4,
        eval_batch_size=3,
        learning_rate=0.01,
        num_train_steps=8,
        num_warmup_steps=2,
        save_checkpoints_steps=3,
        log_steps=2,
    )
    return lambda output_dir, **changes: dataclasses.replace(base, output_dir=str(output_dir), **changes)


@pytest.fixture(scope="session")
def words_of():
    """``words_of(options)``: the command line that gives these options, what is as by default left out."""

    def words(options):
        for field in dataclasses.fields(options):
            value = getattr(options, field.name)
            if value != field.default:
                yield f"--{field.name}={','.join(value) if isinstance(value, tuple) else value}"

    return lambda options: list(words(options))


@pytest.fixture(scope="session")
def start():
    """``start(words, environment)``: a Python process of the project's root, its output kept."""

    def run(words, environment=None):
        return subprocess.Popen(
            [sys.executable, *words],
            cwd=ROOT,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return run


@pytest.fixture
def stopped_at():
    """``with stopped_at(update):`` Ctrl-C comes in place of that update."""
    from albert_zh.training.loop import Loop

    @contextlib.contextmanager
    def stopped(update):
        step = Loop.step

        def interrupted(loop, batch, number, rate):
            if number == update:
                raise KeyboardInterrupt
            return step(loop, batch, number, rate)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Loop, "step", interrupted)
            yield

    return stopped
