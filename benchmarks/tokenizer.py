"""How many MB of text a second the tokenizer and the segmentation read, on one core.

    python benchmarks/tokenizer.py data/news_zh_1.txt

On one of 2 x86-64 cores, Python 3.11, the other core in use: encode 18 MB/s, encode_lines 83, rjieba alone 32,
tag_words with rjieba 13, with jieba 1.0. The file is small and stays in the caches; on megabytes of news encode
took 14 to 18, encode_lines 77 to 85, rjieba 19, tag_words 12; on text half English 8 to 12, 38 to 46, 16 and 10.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from albert_zh.files import read_lines
from albert_zh.text.tokenizer import load_tokenizer
from albert_zh.text.words import make_segmenter, tag_words

LINES_AT_ONCE = 64


def best_rate(megabytes: float, work: Callable[[], object]) -> float:
    """MB a second of the quickest of five runs: other programs only ever make one slower."""
    seconds = []
    for _ in range(5):
        begin = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begin)
    return megabytes / min(seconds)


def main(path: str, vocab_file: str = "albert_config/vocab.txt") -> None:
    """Prints a line for each way through the text."""
    lines = [line for _, line in read_lines(path)]
    blocks = [lines[begin : begin + LINES_AT_ONCE] for begin in range(0, len(lines), LINES_AT_ONCE)]
    megabytes = sum(len(line.encode()) + 1 for line in lines) / 1e6
    tokenizer = load_tokenizer(vocab_file)
    engines = {name: make_segmenter(name) for name in ("rjieba", "jieba")}
    ways: dict[str, Callable[[], object]] = {
        "encode, line by line": lambda: [tokenizer.encode(line) for line in lines],
        f"encode_lines, {LINES_AT_ONCE} at once": lambda: [tokenizer.encode_lines(block) for block in blocks],
        "rjieba alone": lambda: [engines["rjieba"].cut(line) for line in lines],
        "tag_words with rjieba": lambda: [tag_words(block, tokenizer, engines["rjieba"]) for block in blocks],
        "tag_words with jieba": lambda: [tag_words(block, tokenizer, engines["jieba"]) for block in blocks],
    }
    print(f"{path}: {len(lines)} lines, {megabytes:.3f} MB")
    for name, work in ways.items():
        print(f"{name:26} {best_rate(megabytes, work):7.2f} MB/s")


if __name__ == "__main__":
    main(*sys.argv[1:])
