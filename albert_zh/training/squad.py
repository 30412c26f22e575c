"""``squad``: reading comprehension as the TF2 ALBERT's run_squad is called; the same code as ``finetune``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from albert_zh.files import write_json
from albert_zh.tasks.span import SpanTask
from albert_zh.training import finetuning
from albert_zh.training.squad_options import SquadOptions
from albert_zh.training.task_options import task_from


def run(options: SquadOptions) -> dict[str, Any]:
    """Fine-tunes or answers, and writes ``predictions.json``, ``nbest_predictions.json`` and ``null_odds.json``.

    Returns:
        The content of ``metrics.json``.

    Raises:
        InputError: what ``finetuning.run`` raises.
    """
    settings = options.finetuning()
    metrics = finetuning.run(settings)
    write_answers(Path(options.model_dir), task_from(settings), "test" if settings.do_predict else "dev")
    return metrics


def write_answers(folder: Path, task: SpanTask, split: str) -> None:
    """The answers of a finished folder as SQuAD's evaluation has them: id to answer, to candidates, to null odds."""
    predictions = task.read_predictions(folder / f"{split}_predictions.tsv")
    ids = [row.id for row in task.read(split, "")]
    pairs = list(zip(ids, predictions, strict=True))
    write_json(folder / "predictions.json", {row_id: prediction.text for row_id, prediction in pairs})
    write_json(
        folder / "nbest_predictions.json",
        {
            row_id: [
                {"text": each.text, "probability": round(each.probability, 6), "score": round(each.score, 6)}
                for each in prediction.candidates
            ]
            for row_id, prediction in pairs
        },
    )
    write_json(folder / "null_odds.json", {row_id: round(prediction.null_odds, 6) for row_id, prediction in pairs})
    print(f"answers: {folder}/predictions.json, nbest_predictions.json, null_odds.json", flush=True)
