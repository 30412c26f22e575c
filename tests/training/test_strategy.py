"""A strategy by its name; what cannot be had is refused with what to do."""

import json
import socket

import pytest
import tensorflow as tf

from albert_zh.files import InputError
from albert_zh.training.strategy import STRATEGIES, describe, is_chief, make_strategy


@pytest.mark.parametrize(("name", "kind"), [("one_device", "OneDeviceStrategy"), ("mirrored", "MirroredStrategy")])
def test_a_name_gives_its_strategy(name, kind):
    strategy = make_strategy(name)
    assert type(strategy).__name__ == kind
    assert strategy.num_replicas_in_sync >= 1
    assert is_chief(strategy)
    assert describe(strategy).startswith(f"{kind}, {strategy.num_replicas_in_sync} replica(s) on ")


def test_auto_takes_one_device_where_there_are_not_several_gpus(monkeypatch):
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: [])
    assert type(make_strategy("auto")).__name__ == "OneDeviceStrategy"


def test_one_worker_in_the_environment_is_no_cluster(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": {"worker": ["127.0.0.1:1"]}}))
    assert not isinstance(make_strategy("auto"), tf.distribute.MultiWorkerMirroredStrategy)


@pytest.mark.parametrize(
    "environment",
    [
        {"cluster": {"worker": ["127.0.0.1:1", "127.0.0.1:2"]}, "task": {"type": "worker", "index": 0}},
        {"cluster": {"chief": ["127.0.0.1:1"], "worker": ["127.0.0.1:2"]}, "task": {"type": "chief", "index": 0}},
    ],
    ids=["workers", "chief and worker"],
)
def test_several_workers_in_the_environment_are_a_cluster(monkeypatch, environment):
    monkeypatch.setenv("TF_CONFIG", json.dumps(environment))
    monkeypatch.setattr(tf.distribute, "MultiWorkerMirroredStrategy", lambda: "a cluster")
    assert make_strategy("auto") == make_strategy("multi_worker_mirrored") == "a cluster"


@pytest.mark.parametrize("text", ["{worker: a}", "[1]", '{"cluster": {"worker": 3}}'])
def test_a_cluster_described_badly_is_refused(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(InputError, match="TF_CONFIG: not JSON of a cluster"):
        make_strategy("auto")


def test_an_unknown_name_is_refused_with_those_there_are():
    with pytest.raises(InputError, match=f"--distribution_strategy=two: not one of {', '.join(STRATEGIES)}"):
        make_strategy("two")


@pytest.mark.parametrize("options", [{"name": "tpu"}, {"use_tpu": True}])
@pytest.mark.parametrize("error", [ValueError("no such TPU\nmore"), OSError("unreachable"), RuntimeError()])
def test_a_tpu_that_cannot_be_reached_is_said_in_one_line(monkeypatch, options, error):
    asked = {}

    def resolver(**arguments):
        asked.update(arguments)
        raise error

    monkeypatch.setattr(tf.distribute.cluster_resolver, "TPUClusterResolver", resolver)
    with pytest.raises(
        InputError, match=r"--tpu_name=grpc://x: no TPU can be reached there \(.*\)\. Check the name"
    ) as caught:
        make_strategy(**options, tpu_name="grpc://x", tpu_zone="us-central1-b", gcp_project="mine")
    assert "\n" not in str(caught.value)
    assert asked == {"tpu": "grpc://x", "zone": "us-central1-b", "project": "mine"}


def test_an_address_that_nobody_answers_is_said_at_once():
    with socket.socket() as bound:  # bound but not listening: connections to it are refused
        bound.bind(("127.0.0.1", 0))
        address = f"grpc://127.0.0.1:{bound.getsockname()[1]}"
        with pytest.raises(InputError, match=rf"--tpu_name={address}: no TPU can be reached there .*refused"):
            make_strategy(use_tpu=True, tpu_name=address, tpu_zone="us-central1-a")


@pytest.mark.parametrize(
    ("tasks", "chiefs"),
    [
        ({"worker": ["a", "b", "c"]}, [("worker", 0)]),
        ({"chief": ["a"], "worker": ["b", "c"]}, [("chief", 0)]),
    ],
)
def test_one_process_of_a_cluster_writes_the_first_worker_or_the_chief(tasks, chiefs):
    class Cluster(tf.distribute.MultiWorkerMirroredStrategy):
        def __init__(self, kind, number):  # without processes behind it
            self.resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
                tf.train.ClusterSpec(tasks), task_type=kind, task_id=number
            )

        cluster_resolver = property(lambda self: self.resolver)

    everyone = [(kind, number) for kind, addresses in tasks.items() for number in range(len(addresses))]
    assert [task for task in everyone if is_chief(Cluster(*task))] == chiefs
