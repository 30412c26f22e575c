"""Rows a second of the encoder alone, on whatever device Keras' backend finds, beside PyTorch's on the same device.

    KERAS_BACKEND=jax python benchmarks/encoder.py albert_config/albert_config_base_google.json --precision=bfloat16

The network is ``keras.ops`` alone, so this also shows it running under JAX. Batch 64, length 128, random weights, whole
model compiled; PyTorch and transformers, if they are installed, run the same shapes as they come (not compiled), in
turns with ours, and are said to be missing if not.

One NVIDIA H200, JAX 0.11.2 against PyTorch 2.11.0 and transformers 5.17.0, rows a second and ratio over 5 rounds:
tiny float32 18,309 and 13,474, 1.36 (1.33 to 1.43); tiny bfloat16 58,601 and 15,520, 3.80 (1.83 to 4.04);
base float32 1,886 and 1,805, 1.04 (1.04 to 1.05); base bfloat16 13,514 and 13,021, 1.05 (0.93 to 1.10);
xlarge bfloat16 1,742 and 2,004, 0.87 (0.83 to 0.92).
Float32 is full float32 here: with TF32, the default of JAX and TensorFlow on such a card, hidden states of the golden
networks change by up to 2.4e-3; without, they agreed with the reference numbers to 1.9e-6 on it.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import keras
import numpy as np

from albert_zh.config import AlbertConfig
from albert_zh.models.heads import AlbertModel

PRECISION = {"float32": "float32", "bfloat16": "mixed_bfloat16"}


def ours(config: AlbertConfig, precision: str, ids: np.ndarray) -> Callable[[], None]:
    """A call computes one batch and waits for it."""
    model = AlbertModel(config, dtype=PRECISION[precision])
    if keras.backend.backend() == "jax":
        import jax

        jax.config.update("jax_default_matmul_precision", "highest" if precision == "float32" else None)
        weights = [
            [variable.value for variable in part] for part in (model.trainable_variables, model.non_trainable_variables)
        ]
        compiled = jax.jit(lambda trained, other, x: model.stateless_call(trained, other, {"input_ids": x})[0])
        return lambda: compiled(*weights, ids)["pooled_output"].block_until_ready()
    import tensorflow as tf

    tf.config.experimental.enable_tensor_float_32_execution(precision != "float32")
    compiled = tf.function(lambda x: model({"input_ids": x})["pooled_output"], jit_compile=True)
    return lambda: compiled(tf.constant(ids)).numpy()


def theirs(config: AlbertConfig, precision: str, ids: np.ndarray) -> Callable[[], None] | None:
    """The same for transformers' AlbertModel; None where it or PyTorch is missing."""
    try:
        import torch
        import transformers
    except ImportError:
        return None
    torch.backends.cuda.matmul.allow_tf32 = False
    values = {key: value for key, value in config.to_dict().items() if key not in ("family", "ln_type")}
    values["hidden_act"] = {"gelu": "gelu_new", "gelu_exact": "gelu"}.get(config.hidden_act, config.hidden_act)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = transformers.AlbertModel(transformers.AlbertConfig(**values)).to(device, getattr(torch, precision)).eval()
    tensor = torch.tensor(ids).long().to(device)

    def compute() -> None:
        with torch.inference_mode():
            model(tensor).pooler_output.float().cpu()

    return compute


def rows_a_second(compute: Callable[[], None], rows: int, repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        compute()
    return rows * repeats / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bert_config_file")
    parser.add_argument("--precision", choices=PRECISION, default="float32")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    config = AlbertConfig.from_json(arguments.bert_config_file)
    ids = np.random.default_rng(0).integers(0, config.vocab_size, (arguments.batch, arguments.length), np.int32)
    mine, peer = (make(config, arguments.precision, ids) for make in (ours, theirs))
    for compute in filter(None, (mine, peer)):
        compute()  # compiled, warm
    pairs = []
    for _ in range(arguments.rounds):
        first = rows_a_second(mine, len(ids), arguments.repeats)
        pairs.append((first, rows_a_second(peer, len(ids), arguments.repeats) if peer else float("nan")))
    ratios = sorted(first / second for first, second in pairs)
    print(f"{keras.backend.backend()}: {statistics.median(first for first, _ in pairs):,.0f} rows/s")
    if peer is None:
        print("PyTorch or transformers is missing: nothing to compare with (pip install torch transformers)")
        return
    print(f"PyTorch: {statistics.median(second for _, second in pairs):,.0f} rows/s")
    print(f"ratio {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f} over {len(ratios)} rounds)")


if __name__ == "__main__":
    main()
