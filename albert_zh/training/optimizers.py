"""The optimizers that trained ALBERT and BERT, as published: LAMB in both variants and BERT's AdamW.

They differ from Keras's own classes: no bias correction, epsilon 1e-6, and for LAMB the decay inside the trust
ratio. You et al. 2020, https://arxiv.org/abs/1904.00962, algorithm 2; Loshchilov & Hutter 2019,
https://arxiv.org/abs/1711.05101.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import tensorflow as tf


@dataclass(frozen=True)
class Rule:
    """How one optimizer turns a clipped gradient into an update.

    Attributes:
        trust_ratio: scale the update by the ratio of the norms of weight and update (LAMB).
        adapt_undecayed: also for the variables without decay (brightmart: yes, google: no).
        slots: names of the two moments in a checkpoint.
    """

    trust_ratio: bool
    adapt_undecayed: bool
    slots: tuple[str, str]


RULES = {
    "lamb": Rule(trust_ratio=True, adapt_undecayed=True, slots=("lamb_m", "lamb_v")),
    "lamb_google": Rule(trust_ratio=True, adapt_undecayed=False, slots=("adam_m", "adam_v")),
    "adamw": Rule(trust_ratio=False, adapt_undecayed=False, slots=("adam_m", "adam_v")),
}


BETA_1, BETA_2, EPSILON, WEIGHT_DECAY = 0.9, 0.999, 1e-6, 0.01


def published_rule(name: str, family: str) -> str:
    """The rule behind ``--optimizer``: plain "lamb" is the variant that trained the model's own family."""
    return "lamb_google" if (name, family) == ("lamb", "google") else name


def is_decayed(name: str) -> bool:
    """Whether weight decay applies to a variable of this TF1 name: not to LayerNorm and biases."""
    return not ("LayerNorm" in name or "layer_norm" in name or "bias" in name)


def update(
    rule: Rule, name: str, value: tf.Tensor, grad: tf.Tensor, m: tf.Tensor, v: tf.Tensor, rate: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """New value and moments of one variable after one step; all tensors of the variable's shape, ``rate`` scalar."""
    m = BETA_1 * m + (1.0 - BETA_1) * grad
    v = BETA_2 * v + (1.0 - BETA_2) * tf.square(grad)
    step = m / (tf.sqrt(v) + EPSILON)
    decayed = is_decayed(name)
    if decayed:
        step = step + WEIGHT_DECAY * value
    if rule.trust_ratio and (decayed or rule.adapt_undecayed):
        weight_norm, step_norm = tf.norm(value), tf.norm(step)
        usable = (weight_norm > 0) & (step_norm > 0)
        # The inner where keeps 0/0 out of a branch whose value is thrown away.
        rate = rate * tf.where(usable, weight_norm / tf.where(usable, step_norm, 1.0), 1.0)
    return value - rate * step, m, v


class Optimizer:
    """A rule and the moments of a list of variables. Create it inside the strategy's scope."""

    def __init__(self, rule: str, names: Sequence[str], variables: Sequence[tf.Variable]):
        self.rule = RULES[rule]
        self.names, self.variables = list(names), list(variables)
        self.moments = [
            tuple(tf.Variable(tf.zeros(v.shape), trainable=False, name=f"{slot}_{i}") for slot in self.rule.slots)
            for i, v in enumerate(self.variables)
        ]

    def slots(self) -> dict[str, tf.Variable]:
        """The moments under their checkpoint names."""
        return {
            f"{name}/{slot}": moment
            for name, moments in zip(self.names, self.moments, strict=True)
            for slot, moment in zip(self.rule.slots, moments, strict=True)
        }


def schedule(peak: float, warmup_steps: int, total_steps: int) -> Callable[[int], float]:
    """Linear warm-up from 0 over ``warmup_steps``, then the line that falls from ``peak`` at step 0 to 0 at the end.

    As published: the decay is counted from step 0, so the rate drops a little where the warm-up ends. The argument of
    the function returned counts the updates already made.
    """

    def rate(step: int) -> float:
        if step < warmup_steps:
            return peak * step / warmup_steps
        return peak * (1.0 - min(step / max(total_steps, 1), 1.0))

    return rate
