"""Float32 that is float32: on recent GPUs TensorFlow rounds the factors of a product to TF32 unless told not to."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import tensorflow as tf


@contextlib.contextmanager
def full_float32() -> Iterator[None]:
    """Products in full float32 within the block.

    TF32 keeps 10 bits of a factor: hidden states then differ by about 2e-3 between two correct networks, and nothing
    could be told by numbers.
    """
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)
