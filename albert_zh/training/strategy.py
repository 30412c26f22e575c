"""Which devices a run uses, and how it says so."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import tensorflow as tf

from albert_zh.config import AlbertConfig
from albert_zh.files import InputError, first_line
from albert_zh.training.options import STRATEGIES, FinetuneOptions, PretrainOptions
from albert_zh.workers import most_resident_bytes

_TPU_SECONDS = 20.0


def make_strategy(
    name: str = "auto", *, use_tpu: bool = False, tpu_name: str = "", tpu_zone: str = "", gcp_project: str = ""
) -> tf.distribute.Strategy:
    """The strategy behind a name.

    Args:
        name: one of ``STRATEGIES``; "auto" takes one device unless there are several GPUs (mirrored) or
            ``TF_CONFIG`` names several workers (multi_worker_mirrored). "tpu" follows TensorFlow's guide and was
            never run on a TPU by this project.
        use_tpu: the old runners' flag; the same as ``name="tpu"``.
        tpu_name: name or ``grpc://`` address of the TPU.
        tpu_zone: zone of the TPU.
        gcp_project: project of the TPU.

    Raises:
        InputError: an unknown name, or a TPU that cannot be reached.
    """
    if name not in STRATEGIES:
        raise InputError(f"--distribution_strategy={name}: not one of {', '.join(STRATEGIES)}.")
    if use_tpu or name == "tpu":
        return _tpu_strategy(tpu_name, tpu_zone, gcp_project)
    if name == "multi_worker_mirrored" or (name == "auto" and workers_in_environment() > 1):
        # Before anything that touches a device, listing them included: the collectives are set up at start-up.
        return tf.distribute.MultiWorkerMirroredStrategy()
    gpus = tf.config.list_logical_devices("GPU")
    if name == "auto":
        name = "mirrored" if len(gpus) > 1 else "one_device"
    if name == "mirrored":
        return tf.distribute.MirroredStrategy([d.name for d in gpus or tf.config.list_logical_devices("CPU")])
    return tf.distribute.OneDeviceStrategy("GPU:0" if gpus else "CPU:0")


def from_options(options: PretrainOptions | FinetuneOptions) -> tf.distribute.Strategy:
    """The strategy that a command's options name."""
    return make_strategy(
        options.distribution_strategy,
        use_tpu=options.use_tpu,
        tpu_name=options.tpu_name,
        tpu_zone=options.tpu_zone,
        gcp_project=options.gcp_project,
    )


def workers_in_environment() -> int:
    """How many processes ``TF_CONFIG`` names."""
    text = os.environ.get("TF_CONFIG") or "{}"
    try:
        cluster = json.loads(text).get("cluster", {})
        return sum(len(cluster.get(kind, [])) for kind in ("chief", "worker"))
    except (ValueError, AttributeError, TypeError) as error:
        raise InputError(
            f"the environment's TF_CONFIG: not JSON of a cluster ({error}). Correct it, or unset it for one machine."
        ) from error


def _tpu_strategy(tpu_name: str, tpu_zone: str, gcp_project: str) -> tf.distribute.Strategy:
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(
            tpu=tpu_name, zone=tpu_zone or None, project=gcp_project or None
        )
        # TensorFlow would wait for an address that nobody answers, saying nothing.
        address = urlsplit(resolver.master())
        socket.create_connection((address.hostname or "", address.port or 8470), timeout=_TPU_SECONDS).close()
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
        return tf.distribute.TPUStrategy(resolver)
    except (ValueError, tf.errors.OpError, RuntimeError, ImportError, OSError) as error:
        reason = first_line(error)
        raise InputError(
            f"--use_tpu --tpu_name={tpu_name}: no TPU can be reached there ({reason}). "
            "Check the name and the zone, or leave --use_tpu out to train on this machine."
        ) from error


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process writes files: always but on the workers after the first (or beside a chief)."""
    resolver = getattr(strategy, "cluster_resolver", None)
    if resolver is None or not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return True
    if "chief" in resolver.cluster_spec().as_dict():
        return resolver.task_type == "chief"
    return resolver.task_id in (None, 0)


def meet(strategy: tf.distribute.Strategy) -> None:
    """Returns once every process of the run has called it: what the chief wrote before is there to be read after."""
    if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        strategy.reduce(tf.distribute.ReduceOp.SUM, strategy.run(lambda: tf.constant(1.0)), axis=None)


def describe(strategy: tf.distribute.Strategy) -> str:
    """One line for the start of a run."""
    devices = tf.config.list_physical_devices("GPU") or tf.config.list_physical_devices("CPU")
    kind = devices[0].device_type
    details = tf.config.experimental.get_device_details(devices[0]).get("device_name", "") if kind == "GPU" else ""
    where = f"{details or kind}" + (f", {os.cpu_count()} cores" if kind == "CPU" else "")
    return f"{type(strategy).__name__}, {strategy.num_replicas_in_sync} replica(s) on {where}"


def rows_at_once(config: AlbertConfig, tokens: int, values: Mapping[str, int]) -> int:
    """Rows that a device holds in training, 1 or more.

    Args:
        config: of the network.
        tokens: of a row.
        values: "CPU" and "GPU" to tokens x layers x H that one of its kind holds.
    """
    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    return max(values[kind] // (tokens * config.num_hidden_layers * config.hidden_size), 1)


def forget_peak_memory() -> None:
    """Makes ``peak_memory`` count from here, where the system can: on GPUs and on Linux."""
    if tf.config.list_logical_devices("GPU"):
        tf.config.experimental.reset_memory_stats("GPU:0")
        return
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w", encoding="ascii") as stream:
        stream.write("5")  # proc(5): the peak becomes what is in use now


def peak_memory() -> int:
    """Bytes at most in use since ``forget_peak_memory``: of the first GPU where there is one, else of this process;
    0: not known."""
    if tf.config.list_logical_devices("GPU"):
        return int(tf.config.experimental.get_memory_info("GPU:0")["peak"])
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return most_resident_bytes()
