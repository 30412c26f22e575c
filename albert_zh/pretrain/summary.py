"""The counts of a run for people: shares and a table."""

from __future__ import annotations

from collections import Counter
from typing import Any

NAME_WIDTH = 26  # of the table's first column


def shares(counts: Counter[str] | dict[str, int]) -> dict[str, float]:
    """Ratios of the counts: how much was masked, swapped, unknown and skipped."""
    ratios = {
        "masked_tokens": ("masked_tokens", "tokens"),
        "swapped": ("swapped", "instances"),
        "unknown_tokens": ("unknown_tokens", "text_tokens"),
        "skipped_tokens": ("skipped_tokens", "pass_tokens"),
    }
    return {name: counts.get(part, 0) / max(1, counts.get(whole, 0)) for name, (part, whole) in ratios.items()}


def summary(manifest: dict[str, Any]) -> str:
    """The counts of a run as a table for the terminal."""
    counts, ratios = Counter(manifest["counts"]), manifest["shares"]
    instances = max(1, counts["instances"])
    rows = [
        ("documents", f"{counts['documents']:,}" + _note(counts["dev_documents"], "kept out for evaluation")),
        ("sentences", f"{counts['sentences']:,}" + _note(counts["sentences_cut"], "longer than an instance, cut")),
        ("tokens of text", f"{counts['text_tokens']:,}, {ratios['unknown_tokens']:.2%} unknown"),
        ("instances", f"{counts['instances']:,}, {counts['tokens'] / instances:.1f} tokens each"),
        (
            "masked tokens",
            f"{counts['masked_tokens']:,} ({ratios['masked_tokens']:.2%}), {counts['masked_words']:,} words",
        ),
        ("swapped pairs", f"{ratios['swapped']:.2%}"),
        ("skipped as too short", f"{counts['skipped_tokens']:,} tokens ({ratios['skipped_tokens']:.3%})"),
    ]
    rows += [
        (text, f"{counts[name]:,}")
        for name, text in (
            ("documents_without_tokens", "documents without tokens"),
            ("sentences_without_tokens", "sentences without tokens"),
            ("documents_cut", "documents cut in two"),
            ("instances_without_mask", "instances without a mask"),
        )
        if counts[name]
    ]
    rows += [
        ("written", f"{entry['file']}: {entry['instances']:,} instances, {entry['bytes'] / 1e6:.1f} MB")
        for entry in manifest["outputs"][:8]
    ]
    if len(manifest["outputs"]) > 8:
        rows.append(("", f"and {len(manifest['outputs']) - 8} more"))
    return "\n".join(f"{name:{NAME_WIDTH}}{value}" for name, value in rows)


def _note(count: int, text: str) -> str:
    return f" ({count:,} {text})" if count else ""
