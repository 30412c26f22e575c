"""What a model can be exported to, in one table. A target's modules are imported when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from albert_zh.workers import imported

#: A function of ``network.INPUTS``, int32 (B, L), that gives the outputs of ``network.network_of`` by name.
Run = Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]


@dataclass(frozen=True)
class Limit:
    """What an export may differ by from the Keras model.

    Attributes:
        difference: of any output, as a share of the largest absolute value among them, or of 1 where that is less.
        same: share of the rows whose answer must be the Keras model's; one row may always be another: two labels
            may be as probable.
    """

    difference: float
    same: float = 1.0

    def __str__(self) -> str:
        return f"{self.difference:g} of the largest logit, {self.same:.0%} of the answers"


@dataclass(frozen=True)
class Target:
    """One kind of file.

    Attributes:
        module: of the room, with ``write(opened, folder, options)``, which adds files to a folder that is being filled,
            and ``load(folder) -> Run``, which opens them in the target's own runtime.
        limits: by ``--quantize``.
        has_vocabulary: whether ``write`` brings the vocabulary itself.
    """

    module: str
    limits: Mapping[str, Limit] = field(default_factory=lambda: {"none": EXACT})
    has_vocabulary: bool = False

    def write(self, *arguments: Any) -> None:
        imported(f"{self.module}:write")(*arguments)

    def load(self, folder: Path) -> Run:
        return imported(f"{self.module}:load")(folder)


#: The same network in float32, summed up in another order.
EXACT = Limit(1e-4)

TARGETS: dict[str, Target] = {
    "litert": Target(
        "albert_zh.export.litert",
        {
            "none": EXACT,
            "float16": Limit(1e-2, 0.99),
            "dynamic": Limit(0.2, 0.9),
            "int8": Limit(0.5, 0.9),
        },
    ),
    "savedmodel": Target("albert_zh.export.savedmodel"),
    "onnx": Target("albert_zh.export.onnx"),
    "huggingface": Target("albert_zh.export.huggingface", has_vocabulary=True),
}
