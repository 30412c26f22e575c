"""One training step and one evaluation, for every model, objective and strategy.

The step is ``strategy.run`` around a compiled gradient function: micro-batches are accumulated inside the replica,
then one all-reduce, a finite check, the clip by the global norm, the update. A mean over a batch is a sum divided by
a count of the whole batch, so that any split into replicas and micro-batches gives the loss of one device.

Shapes: A micro-batches a replica, b rows a micro-batch, L length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import keras
import numpy as np
import tensorflow as tf

from albert_zh.training.optimizers import Optimizer, update

Arrays = Mapping[str, np.ndarray]


class Objective(Protocol):
    """What is minimised and measured. Every quantity is a sum over rows or tokens, and the count it is divided by."""

    losses: tuple[str, ...]

    def counts(self, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Name to float32 scalar: what the sum of that name is to be divided by; from the batch alone."""

    def sums(self, outputs: Mapping[str, tf.Tensor], batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Name to float32 scalar, under the names of ``counts``."""


class NonFiniteError(RuntimeError):
    """The loss or the gradient stopped being a number; the weights were left as they were before the step."""


class Loop:
    """A model, its optimizer and their compiled step under one strategy.

    Args:
        model: a Keras model made inside ``strategy.scope()``.
        names: the trainable variables under their checkpoint names.
        objective: what is minimised and measured.
        optimizer: a name of ``optimizers.RULES``; None for evaluation only.
        clip_norm: largest global norm of the gradient.
        accumulate: A, micro-batches a replica per update.
        jit_compile: compile the step with XLA; a TPU compiles by itself.
        any_shape: trace once for batches of every shape, instead of anew for each: for batches of many widths that
            are not compiled.
        seed: of the dropout masks; they are a function of (seed, step, replica, micro-batch, layer), so that a
            resumed run draws the same ones.
    """

    def __init__(
        self,
        model: keras.Model,
        names: Mapping[str, keras.Variable],
        objective: Objective,
        strategy: tf.distribute.Strategy,
        *,
        optimizer: str | None = None,
        clip_norm: float = 1.0,
        accumulate: int = 1,
        jit_compile: bool = False,
        any_shape: bool = False,
        seed: int = 0,
    ):
        self.model, self.objective, self.strategy = model, objective, strategy
        self.clip_norm, self.accumulate, self.seed = clip_norm, accumulate, seed
        jit_compile = jit_compile and not isinstance(strategy, tf.distribute.TPUStrategy)
        self.keras_variables = list(names.values())
        self.variables = [variable.value for variable in self.keras_variables]
        with strategy.scope():
            self.optimizer = Optimizer(optimizer, list(names), self.variables) if optimizer else None
        self._seed_states = [v for v in model.non_trainable_variables if v.path.endswith("seed_generator_state")]
        # Without AutoGraph: it would read this file again at the first trace, which in a long run may have changed.
        self._gradients = tf.function(self._replica_gradients, autograph=False, jit_compile=jit_compile)
        self._update = tf.function(self._replica_update, autograph=False, jit_compile=jit_compile)
        self._forward = tf.function(self._replica_forward, autograph=False, jit_compile=jit_compile)
        self._step = tf.function(self._distributed_step, autograph=False)
        self._evaluate = tf.function(self._distributed_evaluation, autograph=False)
        self._untraced = {self._forward} if any_shape else set()
        if any_shape and isinstance(strategy, tf.distribute.OneDeviceStrategy):
            self._untraced.add(self._step)  # elsewhere its batches are values per replica, traced shape by shape

    # What runs on one replica

    def _call_model(self, weights: Sequence[tf.Tensor], batch: Arrays, seeds: Sequence[tf.Tensor], training: bool):
        mapping = [*zip(self.keras_variables, weights, strict=True), *zip(self._seed_states, seeds, strict=True)]
        with keras.StatelessScope(state_mapping=mapping):
            return self.model(batch, training=training, heads_only=True)

    def _replica_gradients(self, weights, batch, counts, step, replica):
        """Gradients of the replica's part of the loss, and its sums; ``batch`` arrays are (A·b, …), ``step`` is
        (seed, updates made)."""
        micro_batches = {
            name: tf.reshape(array, tf.concat([[self.accumulate, -1], tf.shape(array)[1:]], axis=0))
            for name, array in batch.items()
        }
        run_seed = tf.random.experimental.stateless_fold_in(tf.stack([step[0], 0]), step[1])

        def one(index):
            micro = {}
            for name, array in micro_batches.items():
                micro[name] = array[index]
                micro[name].set_shape(
                    [
                        None if batch[name].shape[0] is None else batch[name].shape[0] // self.accumulate,
                        *batch[name].shape[1:],
                    ]
                )
            seed = tf.random.experimental.stateless_fold_in(run_seed, replica * self.accumulate + index)
            seeds = [
                tf.bitcast(tf.random.experimental.stateless_fold_in(seed, i), tf.uint32)
                for i in range(len(self._seed_states))
            ]
            with tf.GradientTape() as tape:
                tape.watch(weights)
                sums = self.objective.sums(self._call_model(weights, micro, seeds, training=True), micro)
                loss = tf.add_n([sums[name] / tf.maximum(counts[name], 1.0) for name in self.objective.losses])
            grads = tape.gradient(loss, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)
            return [tf.convert_to_tensor(grad) for grad in grads], sums

        if self.accumulate == 1:
            return one(0)
        first = one(0)

        def body(index, total):
            # A micro-batch needs none before it: unless told to wait, TensorFlow computes, and so holds, several.
            with tf.control_dependencies(tf.nest.flatten(total)):
                return index + 1, tf.nest.map_structure(tf.add, total, one(tf.identity(index)))

        start = (tf.constant(1), first)
        return tf.while_loop(lambda index, _: index < self.accumulate, body, start, parallel_iterations=1)[1]

    def _replica_update(self, weights, grads, moments, rate, loss):
        """New weights and moments, the gradient's norm before clipping; unchanged where norm or loss is not finite."""
        grads, norm = tf.clip_by_global_norm(grads, self.clip_norm)
        finite = tf.math.is_finite(norm) & tf.math.is_finite(loss)
        optimizer, results = self.optimizer, []
        for name, weight, grad, (m, v) in zip(optimizer.names, weights, grads, moments, strict=True):
            new = update(optimizer.rule, name, weight, grad, m, v, rate)
            results.append([tf.where(finite, *pair) for pair in zip(new, (weight, m, v), strict=True)])
        return results, norm

    def _replica_forward(self, weights, batch):
        seeds = [tf.zeros([2], tf.uint32)] * len(self._seed_states)
        return self._call_model(weights, batch, seeds, training=False)

    # What runs over all replicas

    def _distributed_step(self, batch, step, rate):
        def replica_step(batch):
            context = tf.distribute.get_replica_context()
            weights = [tf.convert_to_tensor(variable) for variable in self.variables]
            moments = [tuple(tf.convert_to_tensor(moment) for moment in pair) for pair in self.optimizer.moments]
            counts = context.all_reduce(tf.distribute.ReduceOp.SUM, self.objective.counts(batch))
            grads, sums = self._gradients(
                weights, batch, counts, step, tf.cast(context.replica_id_in_sync_group, tf.int32)
            )
            grads, sums = context.all_reduce(tf.distribute.ReduceOp.SUM, (grads, sums))
            loss = tf.add_n([sums[name] for name in self.objective.losses])
            new, norm = self._update(weights, grads, moments, rate, loss)
            return new, norm, {name: sums[name] / tf.maximum(counts[name], 1.0) for name in sums}

        new, norm, means = self.strategy.run(replica_step, args=(batch,))
        # Every replica computed the same values; each copy takes its own replica's.
        for variable, moments, values in zip(self.variables, self.optimizer.moments, new, strict=True):
            for target, value in zip((variable, *moments), values, strict=True):
                self.strategy.extended.update(target, lambda t, x: t.assign(x), args=(value,), group=False)
        first = self.strategy.experimental_local_results
        return first(norm)[0], {name: first(mean)[0] for name, mean in means.items()}

    def _distributed_evaluation(self, batch):
        def replica_evaluation(batch):
            context = tf.distribute.get_replica_context()
            weights = [tf.convert_to_tensor(variable) for variable in self.variables]
            sums = self.objective.sums(self._forward(weights, batch), batch)
            return context.all_reduce(tf.distribute.ReduceOp.SUM, (sums, self.objective.counts(batch)))

        results = self.strategy.run(replica_evaluation, args=(batch,))
        return tf.nest.map_structure(lambda x: self.strategy.experimental_local_results(x)[0], results)

    # What callers use

    def distribute(self, rows: Callable[[int, int], Arrays]) -> Mapping[str, tf.Tensor]:
        """A batch for the step: ``rows(replica, replicas)`` gives one replica's arrays (rows, …)."""

        def value(context):
            arrays = rows(context.replica_id_in_sync_group, context.num_replicas_in_sync)
            return {name: tf.convert_to_tensor(array) for name, array in arrays.items()}

        return self.strategy.experimental_distribute_values_from_function(value)

    def step(self, batch: Mapping[str, tf.Tensor], step: int, rate: float) -> dict[str, float]:
        """One update.

        Args:
            batch: from ``distribute``.
            step: updates made before this one.
            rate: learning rate.

        Returns:
            The means of the objective over the whole batch, and ``gradient_norm`` before clipping.

        Raises:
            NonFiniteError: loss or gradient is not finite; weights and moments are unchanged.
        """
        # The seed is no part of the graph, which then serves runs of other seeds.
        arguments = batch, tf.constant([self.seed, step], tf.int32), tf.constant(rate, tf.float32)
        if self._step in self._untraced:
            self._trace(self._step, _any_shape(batch), *arguments[1:])
        norm, means = self._step(*arguments)
        result = {name: float(mean) for name, mean in means.items()} | {"gradient_norm": float(norm)}
        bad = [name for name, value in result.items() if not np.isfinite(value)]
        if bad:
            raise NonFiniteError(f"step {step}: {', '.join(bad)} is not finite")
        return result

    def evaluate(self, batches: Iterable[Mapping[str, tf.Tensor]]) -> dict[str, float]:
        """The means of the objective over all batches (each from ``distribute``)."""
        sums: dict[str, float] = {}
        counts: dict[str, float] = {}
        for batch in batches:
            for total, part in zip((sums, counts), self._evaluate(batch), strict=True):
                for name, value in part.items():
                    total[name] = total.get(name, 0.0) + float(value)
        return {name: sums[name] / max(counts[name], 1.0) for name in sums}

    def predict(self, batch: Arrays, output: str) -> np.ndarray:
        """One output of the model, such as "logits" (B, C), for one batch, on this process's first device."""
        weights = [tf.convert_to_tensor(variable) for variable in self.variables]
        tensors = {name: tf.convert_to_tensor(array) for name, array in batch.items()}
        if self._forward in self._untraced:
            self._trace(self._forward, weights, _any_shape(tensors))
        return self._forward(weights, tensors)[output].numpy()

    def _trace(self, function, *arguments) -> None:
        # Before the first call, so that every step of every run, resumed ones included, computes with the same graph;
        # TensorFlow's own reduce_retracing would begin with one for the first shape.
        function.get_concrete_function(*arguments)
        self._untraced.remove(function)

    def state(self) -> dict[str, np.ndarray]:
        """Weights (as Keras keeps them) and moments under their checkpoint names."""
        weights = {name: variable.numpy() for name, variable in zip(self.optimizer.names, self.variables, strict=True)}
        return weights | {name: moment.numpy() for name, moment in self.optimizer.slots().items()}

    def begin_again(self, seed: int) -> None:
        """Makes the loop ready for another run of its model, whose weights the caller sets: moments 0, another seed.

        What was compiled is kept.
        """
        self.seed = seed
        for moment in self.optimizer.slots().values():
            moment.assign(tf.zeros_like(moment))

    def close(self) -> None:
        """Frees the weights and moments, which TensorFlow's graphs would hold to the end of the process; the model
        cannot be used after it."""
        for variable in (*self.variables, *(self.optimizer.slots().values() if self.optimizer else ())):
            for copy in self.strategy.experimental_local_results(variable):
                tf.raw_ops.DestroyResourceOp(resource=copy.handle, ignore_lookup_error=True)

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Assigns what ``state`` returned."""
        targets = dict(zip(self.optimizer.names, self.variables, strict=True)) | self.optimizer.slots()
        for name, target in targets.items():
            target.assign(state[name])


def _any_shape(batch: Mapping[str, tf.Tensor]) -> dict[str, tf.TensorSpec]:
    return {name: tf.TensorSpec([None] * tensor.shape.rank, tensor.dtype) for name, tensor in batch.items()}
