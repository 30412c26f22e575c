"""How long it takes to make the windows of SQuAD's training questions: reading, tokenising, cutting.

    python benchmarks/squad_features.py train-v1.1.json --spm_model_file=30k-clean.model
    python benchmarks/squad_features.py train-v1.1.json --vocab_file=vocab.txt

Prints seconds and questions a second, and how long the features take to be read back from disk.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

from albert_zh.tasks import get_task, with_files
from albert_zh.text.tokenizer import load_tokenizer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file")
    parser.add_argument("--spm_model_file")
    parser.add_argument("--vocab_file")
    parser.add_argument("--max_seq_length", type=int, default=384)
    arguments = parser.parse_args()
    tokenizer = load_tokenizer(arguments.vocab_file, arguments.spm_model_file)
    task = with_files(get_task("squad1"), {"train": arguments.file}, alone=True)
    start = time.monotonic()
    rows = task.read("train", "")
    read = time.monotonic()
    features = task.featurize(rows, tokenizer, arguments.max_seq_length)
    made = time.monotonic()
    print(
        f"{len(rows):,} questions, {len(features):,} windows of up to {arguments.max_seq_length} tokens: read in "
        f"{read - start:.1f} s, made in {made - read:.1f} s, {len(rows) / (made - start):,.0f} questions/s, "
        f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.1f} GB"
    )
    from albert_zh.training.feature_cache import cached  # last: it loads TensorFlow

    with tempfile.TemporaryDirectory() as folder:
        start = time.monotonic()
        cached(Path(folder), {"benchmark": 1}, rows, lambda: features)
        written = time.monotonic()
        held = cached(Path(folder), {"benchmark": 1}, rows, lambda: None)
        print(f"kept in {written - start:.1f} s, found again in {time.monotonic() - written:.2f} s ({len(held):,})")


if __name__ == "__main__":
    main()
