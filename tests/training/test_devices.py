"""The same run on one device, on two of one process, and on two processes: one loss, one gradient, one set of masks."""

import json
import socket

import numpy as np
import pytest

from albert_zh.convert.tensorflow1 import read_checkpoint
from albert_zh.files import read_json
from albert_zh.training import pretraining
from albert_zh.training.logs import read_log

#: Two devices made of one CPU, which must be told before TensorFlow starts; then what is on the command line.
TWO_CPUS = """
import sys
import tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
from albert_zh.cli import main
sys.exit(main(["pretrain", *sys.argv[1:]]))
"""


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@pytest.fixture(scope="module")
def runs(tmp_path_factory, pretrain_options, words_of, start):
    """Strategy to (folder, what each process printed); 8 rows an update, 4 held at once; dev of 4 rows, 3 at once."""
    folder = tmp_path_factory.mktemp("devices")

    def options(name):
        # A rate so high that the first dev score is the best: the finished weights are not those of the last update.
        return pretrain_options(
            folder / name,
            num_train_steps=3,
            save_checkpoints_steps=1,
            log_steps=1,
            learning_rate=0.3,
            num_warmup_steps=0,
            distribution_strategy=name,
        )

    mirrored = [start(["-c", TWO_CPUS, *words_of(options("mirrored"))])]
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    workers = [
        start(
            ["run_pretraining.py", *words_of(options("multi_worker_mirrored"))],
            {"TF_CONFIG": json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}})},
        )
        for index in range(2)
    ]
    pretraining.run(options("one_device"))
    printed = {}
    for name, processes in (("mirrored", mirrored), ("multi_worker_mirrored", workers)):
        try:
            outputs = [process.communicate(timeout=300) for process in processes]
        finally:
            for process in processes:
                process.kill()
        assert [process.returncode for process in processes] == [0] * len(processes), outputs
        printed[name] = [output for output, _ in outputs]
    return folder, printed


SEVERAL = ["mirrored", "multi_worker_mirrored"]


def log(folder):
    return {tuple(row[:3]): float(row[3]) for row in read_log(folder / "log.csv") if row[2] != "updates_per_second"}


@pytest.mark.parametrize("name", SEVERAL)
def test_loss_and_gradient_norm_are_those_of_one_device(name, runs):
    # With dropout: masks belong to the micro-batch, whichever device computes it.
    one, several = log(runs[0] / "one_device"), log(runs[0] / name)
    assert one.keys() == several.keys()
    first = {key: value for key, value in one.items() if key[:2] == ("1", "train")}
    assert {key[2] for key in first} >= {"mlm_loss", "sop_loss", "gradient_norm"}
    assert {key: several[key] for key in first} == pytest.approx(first, rel=1e-6)
    # Later values stand on weights moved by LAMB, which divides by small moments: rounding grows.
    assert several == pytest.approx(one, rel=1e-4)


@pytest.mark.parametrize("name", SEVERAL)
def test_dev_scores_and_weights_are_those_of_one_device(name, runs):
    folder, _ = runs
    assert read_json(folder / name / "eval_results.json") == pytest.approx(
        read_json(folder / "one_device" / "eval_results.json"), rel=1e-4
    )
    one, several = (read_checkpoint(folder / where / "model.ckpt-3") for where in ("one_device", name))
    assert one.keys() == several.keys()
    for key in one:
        np.testing.assert_allclose(several[key], one[key], atol=1e-4, rtol=0, err_msg=key)


@pytest.mark.parametrize("name", ["one_device", *SEVERAL])
def test_the_scores_reported_are_those_of_the_best_weights_in_every_process(name, runs):
    folder = runs[0] / name
    assert int(read_checkpoint(folder / "model.ckpt-3")["best_step"]) == 1
    scores, logged = read_json(folder / "eval_results.json"), log(folder)
    assert scores["mlm_loss"] == pytest.approx(logged["1", "dev", "mlm_loss"], rel=1e-6)
    assert scores["mlm_loss"] != pytest.approx(logged["3", "dev", "mlm_loss"], rel=1e-3)


def test_two_replicas_hold_a_micro_batch_each(runs):
    for name in SEVERAL:
        for printed in runs[1][name]:
            assert "2 replica(s)" in printed
            assert "= 2 device(s) x 1 x 4; 3 updates" in printed


def test_the_first_process_alone_writes(runs):
    chief, other = runs[1]["multi_worker_mirrored"]
    assert "finished: " in chief
    assert "finished: " not in other
    assert not [path for path in (runs[0] / "multi_worker_mirrored").iterdir() if path.name.startswith(".")]
