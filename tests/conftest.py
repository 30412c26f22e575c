"""What the tests of several rooms share: reference numbers, a network shrunk to run in milliseconds, records."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from albert_zh.config import AlbertConfig
from albert_zh.pretrain.records import MaskedInstance, RecordWriter

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="session")
def golden():
    """The folder of reference numbers computed by the published implementations."""
    return GOLDEN


@pytest.fixture(scope="session")
def tiny_config():
    """``tiny_config(name=value)``: a brightmart network of 2 layers, hidden 16, 40 words, with some fields changed."""
    base = AlbertConfig(
        vocab_size=40,
        embedding_size=8,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=24,
        max_position_embeddings=64,
    )
    return lambda **changes: dataclasses.replace(base, **changes)


@pytest.fixture(scope="session")
def random_instances():
    """``random_instances(count, …)``: instances of 9 to ``length`` tokens with 1 to ``predictions`` masked."""

    def make(count, *, length=16, predictions=3, vocabulary=40, seed=0):
        dice, instances = np.random.default_rng(seed), []
        for number in range(count):
            n, k = int(dice.integers(9, length + 1)), int(dice.integers(1, predictions + 1))
            labels = dice.integers(5, vocabulary, k)
            instances.append(
                MaskedInstance(
                    input_ids=dice.integers(5, vocabulary, n).astype(np.int32),
                    segment_ids=(np.arange(n) > n // 2).astype(np.int32),
                    positions=np.sort(dice.choice(n, k, replace=False)).astype(np.int32),
                    labels=labels.astype(np.int32),
                    swapped=bool(number % 2),
                )
            )
        return instances

    return make


@pytest.fixture(scope="session")
def write_records():
    """``write_records(path, instances, padding=None)``: a record file of them; returns its path as text."""

    def write(path, instances, padding=None):
        with open(path, "wb") as stream:
            writer = RecordWriter(stream, padding)
            for instance in instances:
                writer.write(instance)
        return str(path)

    return write
