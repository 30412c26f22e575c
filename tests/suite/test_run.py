"""Many tasks with one command: the plan, what a failure does, what is left, and the submission."""

import csv
import json
import multiprocessing
import shutil
import struct
import subprocess
import threading
import time
import zipfile
from pathlib import Path

import pytest

from albert_zh.cli import CHECKOUT, main
from albert_zh.files import InputError
from albert_zh.hub.download import default_home
from albert_zh.suite import plan
from albert_zh.suite.options import SuiteOptions
from albert_zh.suite.submit import Answers, write_submission_zip
from albert_zh.tasks import TASKS, get_task

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
TWO = ("afqmc", "cluewsc2020")


@pytest.fixture(scope="module")
def flags(toy):
    """``flags(folder, *tasks, name=value)``: the shipped rows, a network of one layer with random weights."""

    def make(folder, *tasks, **changes):
        values = {
            "sample": "true",
            "model": "none",
            "bert_config_file": folder.parent / "config.json",
            "vocab_file": "albert_config/vocab.txt",
            "max_seq_length": 32,
            "num_train_epochs": 0.5,
            "output_dir": folder,
        } | changes
        config = json.loads((toy / "albert_config.json").read_text(encoding="utf-8"))
        (folder.parent / "config.json").write_text(json.dumps(config | {"vocab_size": 21128}), encoding="utf-8")
        return ["clue", *tasks, *(f"--{name}={value}" for name, value in values.items() if value is not None)]

    return make


@pytest.fixture(scope="module")
def finished(tmp_path_factory, flags):
    """A suite of two tasks, two rates each, two seeds."""
    folder = tmp_path_factory.mktemp("suite") / "out"
    assert main(flags(folder, *TWO, learning_rates="1e-3,1e-2", seeds=2)) == 0
    return folder


def test_every_task_leaves_its_model_and_the_suite_its_results(finished):
    results = json.loads((finished / "results.json").read_text(encoding="utf-8"))
    assert list(results["tasks"]) == list(TWO)
    assert results["failures"] == {}
    for name in TWO:
        held = json.loads((finished / name / "metrics.json").read_text(encoding="utf-8"))
        task = results["tasks"][name]
        assert task["dev"] == held["dev"]
        assert task["seeds"]["runs"] == 2
        assert len(task["trials"]) == 3
        assert {score["model"] for score in task["published"]} >= {"ALBERT-tiny"}
        best = max(held["baselines"]["dev"].values())
        assert task["above_baselines"] == (held["dev"]["accuracy_low"] > best)
    rows = list(csv.DictReader((finished / "results.csv").open(encoding="utf-8")))
    assert [row["task"] for row in rows] == [name for name in TWO for _ in range(3)]
    assert all(float(row["dev"]) == pytest.approx(json.loads((finished / row["task"] / row["folder"].rsplit("/")[-1] /
               "metrics.json").read_text())["dev"]["accuracy"]) for row in rows)  # fmt: skip


def test_the_submission_holds_every_answer_under_the_exact_name(finished):
    with zipfile.ZipFile(finished / "submit.zip") as archive:
        assert archive.namelist() == ["afqmc_predict.json", "cluewsc11_predict.json", "cluewsc10_predict.json"]
        for name, split in (("cluewsc2020", "test"), ("cluewsc2020", "test1.0"), ("afqmc", "test")):
            task = get_task(name)
            rows = task.read(split, plan.SAMPLES / name)
            answers = [json.loads(line) for line in archive.read(task.submission.files[split]).splitlines()]
            assert [answer["id"] for answer in answers] == [row.id for row in rows]
            assert {answer["label"] for answer in answers} <= set(task.labels)


def test_the_report_shows_every_task_and_every_run(finished):
    page = (finished / "report.html").read_text(encoding="utf-8")
    assert "各任务成绩 Scores of all tasks" in page
    for name in TWO:
        assert f"<h2>{name}" in page
    assert page.count("0.01</td>") + page.count("0.001</td>") >= 6
    assert "http://" not in page.replace("http://www.w3.org/", "")


@pytest.mark.skipif(not BROWSER, reason="no Chromium here")
@pytest.mark.parametrize("width", [1200, 420])
def test_the_report_looks_the_same_in_a_browser_without_a_network(finished, width, tmp_path):
    """The pictures are left in test_artefacts/, to be looked at."""
    pictures = Path(CHECKOUT) / "test_artefacts"
    pictures.mkdir(exist_ok=True)
    picture = pictures / f"clue_report_{width}.png"
    picture.unlink(missing_ok=True)
    switches = "headless no-sandbox disable-gpu no-first-run disable-background-networking disable-sync".split()
    done = subprocess.run(
        [BROWSER, *(f"--{switch}" for switch in switches), f"--user-data-dir={tmp_path}", "--enable-logging=stderr",
         "--host-resolver-rules=MAP * ~NOTFOUND", f"--window-size={width},2400", f"--screenshot={picture}",
         f"file://{finished / 'report.html'}"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "CONSOLE" not in done.stderr  # what the page itself would complain of
    header = picture.read_bytes()[:24]
    assert header[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", header[16:24]) == (width, 2400)
    assert picture.stat().st_size > 60_000  # an empty page of this size is 12 KB


def test_side_by_side_every_task_comes_to_the_same(finished, tmp_path, flags):
    folder = tmp_path / "out"
    assert main([*flags(folder, *TWO, learning_rates="1e-3,1e-2", seeds=2), "--processes=2"]) == 0
    alone, beside = (json.loads((f / "results.json").read_text(encoding="utf-8")) for f in (finished, folder))
    assert list(beside["tasks"]) == list(TWO)
    for name in TWO:
        ours, theirs = alone["tasks"][name], beside["tasks"][name]
        assert [ours[key] for key in ("dev", "seeds", "best")] == [theirs[key] for key in ("dev", "seeds", "best")]
        weights = "albert_model.ckpt.data-00000-of-00001"
        assert (finished / name / weights).read_bytes() == (folder / name / weights).read_bytes()
    assert (finished / "submit.zip").read_bytes() == (folder / "submit.zip").read_bytes()


def test_a_task_whose_test_rows_are_not_there_is_trained_and_answers_nothing(tmp_path, flags, capsys):
    data = shutil.copytree(plan.SAMPLES / "afqmc", tmp_path / "data")
    (data / "test.json").unlink()
    assert main(flags(tmp_path / "out", "afqmc", sample=None, data_dir=data)) == 0
    assert not (tmp_path / "out" / "submit.zip").exists()
    assert "submission:" not in capsys.readouterr().out
    assert json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))["tasks"]["afqmc"]["dev"]


def test_called_again_nothing_is_trained_twice(finished, flags, capfd):
    times = {file: file.stat().st_mtime_ns for file in finished.glob("*/rate_*/albert_model.ckpt.index")}
    assert len(times) == 6
    assert main(flags(finished, *TWO, learning_rates="1e-3,1e-2", seeds=2)) == 0
    assert capfd.readouterr().out.count("finished before, nothing to do") >= 6
    assert {file: file.stat().st_mtime_ns for file in times} == times


def test_a_failing_task_stops_no_other_and_the_exit_status_tells(tmp_path, flags, capsys):
    data = tmp_path / "data"
    for name in TWO:
        shutil.copytree(plan.SAMPLES / name, data / name)
    with open(data / "afqmc" / "dev.json", "a", encoding="utf-8") as stream:
        stream.write('{"sentence1": "一", "sentence2": "二", "label": "7"}\n')
    words = flags(tmp_path / "out", *TWO, sample=None, data_dir=data)
    assert main(words) == 2
    captured = capsys.readouterr()
    assert "1 of 2 tasks did not finish" in captured.err
    assert 'dev.json:31: label "7" is not one of' in captured.err
    results = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert (list(results["tasks"]), list(results["failures"])) == (["cluewsc2020"], ["afqmc"])
    with zipfile.ZipFile(tmp_path / "out" / "submit.zip") as archive:
        assert "afqmc_predict.json" not in archive.namelist()


def test_a_task_whose_process_is_killed_stops_no_other(tmp_path, flags, capsys):
    def kill_the_first():
        while not (children := multiprocessing.active_children()):
            time.sleep(0.01)
        children[0].kill()

    killer = threading.Thread(target=kill_the_first)
    killer.start()
    words = flags(tmp_path / "out", *TWO)
    assert main(words) == 2
    killer.join()
    assert "finished runs are kept" in capsys.readouterr().err
    results = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert (list(results["tasks"]), list(results["failures"])) == (["cluewsc2020"], ["afqmc"])
    assert main(words) == 0  # and the same command makes up for it


def test_a_dry_run_shows_the_plan_and_leaves_nothing(tmp_path, flags, capsys):
    assert main([*flags(tmp_path / "out", "afqmc", sweep="true", seeds=3), "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "1e-05,2e-05,3e-05,5e-05" in said
    assert "6 x 2" in said  # four rates and two more seeds, two updates each: half an epoch of 60 rows, 16 at a time
    assert "6 runs, about" in said
    assert not (tmp_path / "out").exists()


def test_names_are_those_of_the_table_and_all_means_all():
    assert plan.task_names(()) == (*plan.CLUE, "cluener", "drcd")
    assert plan.task_names((), "squad") == ("squad1", "squad2")
    assert plan.task_names(("lcqmc_pair", "lcqmc")) == ("lcqmc",)
    assert set(plan.task_names(("all",))) == {task.name for task in TASKS.values()}
    assert plan.task_names(("glue", "rte", "lcqmc")) == (*plan.GLUE, "lcqmc")
    assert plan.task_names((), "glue") == plan.task_names(("GLUE",)) == plan.GLUE
    with pytest.raises(InputError, match="no task 'tnew'"):
        plan.task_names(("tnew",))


def test_a_task_without_an_address_and_without_a_folder_says_what_to_give(tmp_path):
    job = {"name": "bq", "model": "", "alone": True}
    with pytest.raises(InputError, match="bq: no public address is known"):
        plan.make_job(options=SuiteOptions(), **job)
    with pytest.raises(InputError, match=r"no folder bq in it"):
        plan.make_job(options=SuiteOptions(data_dir=str(tmp_path)), **job)
    assert not (default_home() / "datasets" / "bq").exists()


def test_mrpc_which_nobody_packs_is_asked_for_with_its_files(tmp_path, monkeypatch):
    monkeypatch.setenv("ALBERT_ZH_HOME", str(tmp_path))
    with pytest.raises(InputError, match=r"mrpc: no public address is known .*train.tsv, dev.tsv, test.tsv") as raised:
        plan.make_job("mrpc", SuiteOptions(), "", True)
    assert "--data_dir DIR" in str(raised.value)


def test_a_folder_of_published_names_is_known_by_them(tmp_path):
    for name, folder in (("stsb", "STS-B"), ("cola", "CoLA")):
        shutil.copytree(plan.SAMPLES / name, tmp_path / folder)
    options = SuiteOptions(
        data_dir=str(tmp_path), model="none", vocab_file="albert_config/vocab.txt",
        bert_config_file="albert_config/albert_config_tiny.json",
    )  # fmt: skip
    for name, folder in (("stsb", "STS-B"), ("cola", "CoLA")):
        assert plan.make_job(name, options, "", False).options.data_dir == str(tmp_path / folder)


def test_glue_is_scored_reported_and_packed_as_its_site_asks(tmp_path, flags, capfd):
    """A correlation of classes, one of numbers, and a task of two dev and three test splits."""
    folder = tmp_path / "out"
    assert main([*flags(folder, "cola", "stsb", "mnli"), "--benchmark=glue"]) == 0
    with zipfile.ZipFile(folder / "glue_submit.zip") as archive:
        assert archive.namelist() == ["CoLA.tsv", "STS-B.tsv", "MNLI-m.tsv", "MNLI-mm.tsv", "AX.tsv"]
        lines = archive.read("AX.tsv").decode().splitlines()
        assert (lines[0], len(lines)) == ("index\tprediction", 13)
        assert {line.partition("\t")[2] for line in lines[1:]} <= {"entailment", "neutral", "contradiction"}
        numbers = [float(line.partition("\t")[2]) for line in archive.read("STS-B.tsv").decode().splitlines()[1:]]
        assert all(0 <= number <= 5 for number in numbers)
    assert not (folder / "submit.zip").exists()
    held = json.loads((folder / "mnli" / "metrics.json").read_text(encoding="utf-8"))
    assert held["dev_mismatched"]["rows"] == 20
    assert held["baselines"]["dev_mismatched"]
    assert set(held["scored"]) == {"dev", "dev_mismatched", "test", "test_mismatched", "test_diagnostic"}
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))["tasks"]
    assert results["mnli"]["dev_mismatched"] == held["dev_mismatched"]
    assert results["cola"]["metric"] == "matthews"
    said = capfd.readouterr().out
    assert f"dev_mismatched accuracy {held['dev_mismatched']['accuracy']:.2%} (95%: " in said
    page = (folder / "report.html").read_text(encoding="utf-8")
    cola = json.loads((folder / "cola" / "metrics.json").read_text(encoding="utf-8"))["dev"]
    assert f'<p class="big">{cola["matthews"]:.3f}<small> dev matthews</small>' in page
    assert "dev_mismatched: accuracy " in page
    assert "mnli dev_mismatched" in page
    assert "bash run_glue.sh cola stsb mnli" in page


def test_one_process_is_one_whatever_the_machine_has():
    job = plan.make_job("afqmc", SuiteOptions(
        sample=True, model="none", bert_config_file="albert_config/albert_config_tiny.json",
        vocab_file="albert_config/vocab.txt", processes=1,
    ), "", True)  # fmt: skip
    assert job.options.processes == 1  # left to itself a sweep would take every GPU


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sample": True, "data_dir": "x"}, "give one of the two"),
        ({"seeds": 0}, "must be 1 or more"),
        ({"model": "none"}, "--model=none: give --bert_config_file"),
    ],
)
def test_options_that_contradict_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        SuiteOptions(**changes)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda lines: lines[:-1], r"19 answers for 20 test rows"),
        (lambda lines: [lines[1], lines[0], *lines[2:]], r"json:1: the answer of row 1 stands where row 0 is due"),
        (lambda lines: [lines[0].replace('"label": "', '"label": "x'), *lines[1:]], r"json:1: 'x\d' is not a label"),
        (lambda lines: ["{}", *lines[1:]], r"json:1: no \{\"id\""),
    ],
)
def test_a_short_reordered_or_foreign_file_is_packed_by_nobody(spoil, message, finished, tmp_path):
    shutil.copyfile(finished / "afqmc" / "afqmc_predict.json", tmp_path / "afqmc_predict.json")
    lines = (tmp_path / "afqmc_predict.json").read_text(encoding="utf-8").splitlines()
    (tmp_path / "afqmc_predict.json").write_text("\n".join(spoil(lines)) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=message):
        write_submission_zip(
            tmp_path / "submit.zip", [Answers(get_task("afqmc"), "test", tmp_path, plan.SAMPLES / "afqmc")]
        )
    assert not (tmp_path / "submit.zip").exists()


def test_a_time_is_told_as_a_person_would():
    assert plan.duration(59.4) == "59 s"
    assert plan.duration(3599.6) == "1 h 0 min"
