"""Options of an export that cannot be meant are refused before anything is opened."""

import pytest

from albert_zh.cli import main
from albert_zh.export.options import BenchmarkOptions, ExportOptions
from albert_zh.files import InputError
from albert_zh.flags import parse_options


def options(**changes):
    return ExportOptions(**{"model": "m", "output_dir": "o", "to": "litert"} | changes)


def test_a_length_is_a_number_or_any():
    assert options().length is None
    assert options(max_seq_length="dynamic").length is None
    assert options(max_seq_length="128").length == 128


@pytest.mark.parametrize("length", ["", "0", "2", "-5", "1.5", "Dynamic", "128 "])
def test_a_length_that_is_neither_is_refused(length):
    with pytest.raises(InputError, match="neither dynamic nor a number from 3 up"):
        options(max_seq_length=length)


@pytest.mark.parametrize("to", ["savedmodel", "onnx", "huggingface"])
def test_what_only_litert_has_is_not_passed_over_by_the_others(to):
    assert options(to=to).length is None
    with pytest.raises(InputError, match=r"--quantize=float16: of --to=litert alone; leave it out\."):
        options(to=to, quantize="float16")
    with pytest.raises(InputError, match=r"--max_seq_length=128: of --to=litert alone; leave it out\."):
        options(to=to, max_seq_length="128")


def test_some_rows_are_compared():
    with pytest.raises(InputError, match=r"--rows=0: must be 1 or more\."):
        options(rows=0)


def test_what_is_timed_is_one_or_more():
    with pytest.raises(InputError, match=r"--threads=1,0: each must be 1 or more\."):
        BenchmarkOptions("f", threads=(1, 0))
    with pytest.raises(InputError, match=r"--lengths=-3: each must be 1 or more\."):
        BenchmarkOptions("f", lengths=(-3,))
    with pytest.raises(InputError, match=r"--repeats=0"):
        BenchmarkOptions("f", repeats=0)


@pytest.mark.parametrize(
    ("flag", "known"),
    [("--quantize=int4", "none, float16, dynamic, int8"), ("--to=tflite", "litert, savedmodel, onnx, huggingface")],
)
def test_an_unknown_way_is_answered_with_the_known_ones(flag, known, capsys):
    assert main(["export", "m", "--output_dir=o", *["--to=litert"] * ("--to" not in flag), flag]) == 2
    assert f"is not one of {known}." in capsys.readouterr().err


def test_threads_and_lengths_are_lists():
    found, _ = parse_options(BenchmarkOptions, ["f", "--threads", "1", "2", "4", "--lengths=16,32"])
    assert (found.file, found.threads, found.lengths) == ("f", (1, 2, 4), (16, 32))
