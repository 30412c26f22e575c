"""What a fine-tuning is going to take: its rows and tokens, and how fast updates are here."""

from __future__ import annotations

import time

from albert_zh.training.batches import FeatureBatches
from albert_zh.training.options import FinetuneOptions
from albert_zh.training.setup import Setup

#: Rows of a split whose length is measured, and updates that are timed.
MEASURED_ROWS, MEASURED_UPDATES = 1000, 4


def measure_rows(options: FinetuneOptions) -> tuple[dict[str, int], dict[str, int], int]:
    """Rows of each split there is, tokens of train and dev, and examples of train, after all of it was read.

    A row makes several examples where it is read in windows.

    Raises:
        InputError: a file is missing or a row cannot be used.
    """
    run = Setup(options)
    splits = [split for split in run.task.files if split in ("train", "dev") or run.task.has(split, options.data_dir)]
    rows = {split: run.train_rows() if split == "train" else run.rows(split) for split in splits}
    tokens = {}
    for split in ("train", "dev"):
        some = rows[split][:: max(len(rows[split]) // MEASURED_ROWS, 1)]
        made = run.task.featurize(some, run.tokenizer, run.length)
        share = len(rows[split]) / len(some)
        tokens[split] = round(sum(map(len, made.input_ids)) * share)
        if split == "train":
            examples = round(len(made) / made.choices * share)
    return {split: len(held) for split, held in rows.items()}, tokens, examples


def measure_speed(options: FinetuneOptions) -> float:
    """Tokens a second of an update, padding not counted, from ``MEASURED_UPDATES`` of them after one to warm up."""
    run = Setup(options)
    rows = run.train_rows()[: 64 * run.batch_size]
    task = run.task.fitted(rows)
    features = task.featurize(rows, run.tokenizer, run.length)
    size, _ = run.micro_batches(features)  # what a device holds at once, as in the run itself
    loop = run.loop_for(0)
    batches = FeatureBatches(task.targeted(features), size=size, pad_id=run.tokenizer.pad_id)
    tokens, start = 0, 0.0
    for step in range(1 + MEASURED_UPDATES):
        if step == 1:
            start = time.monotonic()
        numbers = batches.rows(step)
        tokens += int(batches.tokens[numbers].sum()) if step else 0
        loop.step(loop.distribute(lambda *_, numbers=numbers: batches.read(numbers, size)), step, 0.0)
    speed = tokens / (time.monotonic() - start)
    run.share.close()
    return speed
