"""Options: the published recipe left out, what is given taken as it is, what cannot be refused by its flag."""

import math

import pytest

from albert_zh.files import InputError
from albert_zh.training.options import PretrainOptions


@pytest.mark.parametrize(("batch", "rate"), [(4096, 0.00176), (1024, 0.00088), (64, 0.00022), (8192, 0.00176 * 2**0.5)])
def test_the_published_rate_is_scaled_by_the_root_of_the_batch(batch, rate, pretrain_options):
    options = pretrain_options("out", train_batch_size=batch, micro_batch_size=0, learning_rate=None)
    assert options.peak_rate == pytest.approx(rate)


def test_a_rate_and_a_warm_up_given_are_taken_as_they_are(pretrain_options):
    options = pretrain_options("out", learning_rate=0.5, num_warmup_steps=0, train_batch_size=64)
    assert (options.peak_rate, options.warmup_steps) == (0.5, 0)
    assert pretrain_options("out", num_train_steps=125_000, num_warmup_steps=None).warmup_steps == 12_500


def test_defaults_are_the_published_recipe():
    options = PretrainOptions(("a",), "out", "c.json", do_train=True)
    assert (options.train_batch_size, options.max_seq_length, options.max_predictions_per_seq) == (4096, 512, 51)
    assert (options.num_train_steps, options.warmup_steps, options.peak_rate) == (125_000, 12_500, 0.00176)
    assert (options.optimizer, options.clip_norm) == ("lamb", 1.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_batch_size": 0}, "--train_batch_size=0: must be 1 or more"),
        ({"eval_batch_size": -1}, "--eval_batch_size=-1: must be 1 or more"),
        ({"num_train_steps": 0}, "--num_train_steps=0: must be 1 or more"),
        ({"save_checkpoints_steps": 0}, "--save_checkpoints_steps=0: must be 1 or more"),
        ({"max_eval_steps": 0}, "--max_eval_steps=0: must be 1 or more"),
        ({"max_predictions_per_seq": 0}, "--max_predictions_per_seq=0: must be 1 or more"),
        ({"keep_checkpoint_max": 0}, "--keep_checkpoint_max=0: must be 1 or more"),
        ({"max_seq_length": 7}, "--max_seq_length=7: must be from 8 to 512"),
        ({"max_seq_length": 513}, "--max_seq_length=513: must be from 8 to 512"),
        ({"do_train": False, "do_eval": False}, "nothing to do"),
        ({"bert_config_file": ""}, "--bert_config_file is missing"),
        ({"micro_batch_size": -1}, "--micro_batch_size=-1: must be 0 or more"),
        ({"log_steps": -1}, "--log_steps=-1: must be 0 or more"),
        ({"clip_norm": -1.0}, "--clip_norm=-1.0: must be more than 0"),
        ({"learning_rate": -0.001}, "--learning_rate=-0.001: must be more than 0"),
        ({"learning_rate": math.nan}, "--learning_rate=nan: must be more than 0"),
        ({"num_warmup_steps": -5}, "--num_warmup_steps=-5: must be 0 or more"),
        ({"random_seed": -1}, "--random_seed=-1: must be 0 or more"),
    ],
)
def test_options_that_cannot_be_are_refused(changes, message, pretrain_options):
    with pytest.raises(InputError, match=message):
        pretrain_options("out", **changes)
