"""The checkpoints of a run: the last ones with all that an exact resume needs, and the best by dev."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from albert_zh.convert.tensorflow1 import read_checkpoint, write_checkpoint
from albert_zh.files import InputError, read_json, write_json
from albert_zh.pretrained import Source

_STEP = re.compile(r"^model\.ckpt-(\d+)\.index$")
RUN_FILE = "run.json"


@dataclass(frozen=True)
class Saved:
    """A checkpoint read back: updates made, the best dev quality so far (nan: none) and its update, arrays by name."""

    step: int
    best: float
    best_step: int
    arrays: Mapping[str, np.ndarray]


class Checkpoints:
    """``model.ckpt-STEP`` (the last ``keep``) and ``model.ckpt-best`` in one folder."""

    def __init__(self, folder: Path, keep: int = 2):
        self.folder, self.keep = Path(folder), keep

    def _steps(self) -> list[int]:
        matches = (_STEP.match(path.name) for path in self.folder.glob("model.ckpt-*.index"))
        return sorted(int(match[1]) for match in matches if match)

    def prefix(self, step: int) -> Path:
        return self.folder / f"model.ckpt-{step}"

    @property
    def best_prefix(self) -> Path:
        return self.folder / "model.ckpt-best"

    def save(self, step: int, arrays: Mapping[str, np.ndarray], best: float, best_step: int) -> None:
        """Writes the checkpoint of ``step``, then removes those before the last ``keep``."""
        extra = {"global_step": np.int64(step), "best_quality": np.float64(best), "best_step": np.int64(best_step)}
        write_checkpoint(self.prefix(step), {**arrays, **extra})
        for old in self._steps()[: -self.keep]:
            for file in self.folder.glob(f"model.ckpt-{old}.*"):
                file.unlink(missing_ok=True)

    def latest(self) -> Saved | None:
        """The newest checkpoint, or None. Raises InputError when it is damaged."""
        steps = self._steps()
        if not steps:
            return None
        arrays = read_checkpoint(self.prefix(steps[-1]))
        step, best, best_step = (arrays.pop(name) for name in ("global_step", "best_quality", "best_step"))
        return Saved(int(step), float(best), int(best_step), arrays)


def check_folder(folder: Path, *, overwrite: bool = False, source: Source | None = None) -> None:
    """What must hold before a run may write into ``folder``, be it new or its own.

    Args:
        source: the weights the run starts from.

    Raises:
        InputError: the folder holds checkpoints of somebody else, or the weights the run starts from.
    """
    if source and source.folder.resolve() == Path(folder).resolve():
        raise InputError(
            f"{folder}: is --output_dir and also the folder of --init_checkpoint ({source.where}), which the run "
            "would replace. Give another --output_dir."
        )
    if not overwrite and not (folder / RUN_FILE).exists() and any(folder.glob("*.ckpt*")):
        raise InputError(
            f"{folder}: already holds checkpoints that this project did not train. Give another --output_dir."
        )


def claim_folder(
    folder: Path,
    run: Mapping[str, object],
    *,
    overwrite: bool = False,
    source: Source | None = None,
    products: Iterable[str] = (),
) -> None:
    """Marks ``folder`` as that of this run, or checks that it already is.

    A run that left no checkpoint has nothing to lose and gives way: its options were corrected.

    Args:
        run: what two runs share when one may go on where the other stopped.
        overwrite: drop what is held there, the same run included.
        source: the weights the run starts from.
        products: patterns of files, beside checkpoints and logs, that say what a run came to: removed, since this one
            has not ended, and another's would pass for its own.

    Raises:
        InputError: the folder holds another run, or files that are no run of this project.
    """
    folder = Path(folder)
    path = folder / RUN_FILE
    check_folder(folder, overwrite=overwrite, source=source)
    overwrite = overwrite or not any(folder.glob("*.ckpt*"))
    if path.exists():
        held = read_json(path)
        differing = [key for key in run if held.get(key) != run[key]]
        if differing and not overwrite:
            key = differing[0]
            raise InputError(
                f"{folder}: holds another run: {key} was {held.get(key)!r} there, is {run[key]!r} now"
                f"{f' (and {len(differing) - 1} more differ)' if len(differing) > 1 else ''}. "
                "Give another --output_dir, or the same options to go on with that run, or --overwrite=true to drop it."
            )
        if not differing and not overwrite:
            _remove(folder, products)
            return
    _remove(folder, (*products, "model.ckpt-*", "albert_model.ckpt*", "log.csv", "eval_results.json"))
    shutil.rmtree(folder / "tensorboard", ignore_errors=True)
    write_json(path, dict(run))


def _remove(folder: Path, patterns: Iterable[str]) -> None:
    for file in {file for pattern in patterns for file in folder.glob(pattern)}:
        file.unlink()
