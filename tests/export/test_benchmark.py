"""``benchmark-litert`` times a real file in a process of its own, and says first whether others use the machine."""

import json

import pytest

from albert_zh.cli import main
from albert_zh.export import benchmark
from albert_zh.export.benchmark import busy_share, measure, run
from albert_zh.export.options import BenchmarkOptions
from albert_zh.files import InputError


@pytest.fixture(scope="module")
def folder(finished, lite):
    return lite(finished("lcqmc").source.folder)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(benchmark, "_LEAST", 0.0)
    monkeypatch.setattr(benchmark, "WATCHED", 0.01)


def test_the_table_and_the_json_have_a_row_for_each_number_of_threads_and_length(folder, tmp_path, capsys):
    given = ["--threads", "1", "2", "--lengths", "16", "8", "--repeats=3", f"--output_file={tmp_path / 'out.json'}"]
    assert main(["benchmark-litert", str(folder), *given]) == 0
    found = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert found["file"] == "model.tflite"
    assert found["cores"] >= 1
    assert 0 <= found["busy"] <= 1
    assert [(row["threads"], row["length"]) for row in found["rows"]] == [(1, 8), (1, 16), (2, 8), (2, 16)]
    for row in found["rows"]:
        assert row["calls"] >= 3
        assert 0 < row["median_ms"] <= row["p90_ms"]
        assert row["load_ms"] > 0
    said = capsys.readouterr().out.splitlines()
    head = next(number for number, line in enumerate(said) if line.split() and line.split()[0] == "threads")
    assert [tuple(line.split()[:2]) for line in said[head + 1 : head + 5]] == [
        ("1", "8"), ("1", "16"), ("2", "8"), ("2", "16")
    ]  # fmt: skip
    size = (folder / "model.tflite").stat().st_size
    assert said[0] == f"{folder / 'model.tflite'}: {size / 1e6:.2f} MB"
    assert "in use by others" in said[1].lower()


def test_the_file_itself_may_be_named(folder):
    assert len(measure(str(folder / "model.tflite"), 1, (4,), 1)) == 1


def test_a_file_of_one_length_is_timed_at_its_own(finished, lite):
    fixed = lite(finished("cluener", crf=True).source.folder, max_seq_length="22")
    assert [row["length"] for row in measure(str(fixed / "model.tflite"), 1, (8, 16), 2)] == [22]


def test_each_call_is_counted_and_none_is_left_out(folder):
    assert [row["calls"] for row in measure(str(folder / "model.tflite"), 1, (8,), 7)] == [7]


def test_a_length_that_the_model_has_not_is_an_error(folder):
    with pytest.raises(InputError, match=r"model\.tflite: does not answer 65 tokens \(.+\)\. Give shorter --lengths"):
        measure(str(folder / "model.tflite"), 1, (65,), 1)


def test_a_missing_file_is_an_error_and_no_json_is_written(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        run(BenchmarkOptions(str(tmp_path / "none"), output_file=str(tmp_path / "out.json")))
    assert not list(tmp_path.iterdir())


# The machine


def test_the_load_is_the_share_of_ticks_that_were_not_idle(monkeypatch):
    ticks = iter([(1000, 5000), (1150, 5200)])  # 150 of 200 idle
    monkeypatch.setattr(benchmark, "_jiffies", lambda: next(ticks))
    assert busy_share(0) == pytest.approx(0.25)


def test_without_ticks_it_is_the_average_load_of_the_cores(monkeypatch):
    def missing():
        raise FileNotFoundError("/proc/stat")

    monkeypatch.setattr(benchmark, "_jiffies", missing)
    monkeypatch.setattr(benchmark, "available_cores", lambda: 4)
    monkeypatch.setattr(benchmark.os, "getloadavg", lambda: (1.0, 0, 0), raising=False)
    assert busy_share(0) == 0.25
    monkeypatch.setattr(benchmark.os, "getloadavg", lambda: (9.0, 0, 0))
    assert busy_share(0) == 1


@pytest.mark.parametrize(("busy", "loud"), [(0.0, False), (0.09, False), (0.5, True), (1.0, True)])
def test_figures_of_a_machine_at_work_are_called_so(busy, loud, folder, monkeypatch, capsys):
    monkeypatch.setattr(benchmark, "busy_share", lambda seconds: busy)
    monkeypatch.setattr(benchmark, "call_in_process", lambda *_, advice: [])
    run(BenchmarkOptions(str(folder)))
    said = capsys.readouterr().out
    assert f"{busy:.0%} of them" in said
    assert ("look again when it is idle" in said) == loud
