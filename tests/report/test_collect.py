"""The report is read from what the runs left; a folder that is not finished, or no longer fits its rows, is refused."""

import html
import json
import re

import numpy as np
import pytest

from albert_zh.cli import main
from albert_zh.files import InputError, sha256
from albert_zh.pretrain.example import MaskedInstance
from albert_zh.report.collect import ReportOptions, run

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
VOCABULARY = SPECIAL + list("今天下雨我们去看海买菜回家吃饭")
SETTINGS = {"train_batch_size": 32, "learning_rate": 0.0001, "random_seed": 7}
ROWS = {
    "train": [("今天下雨", "今天下雨", "1"), ("我们去看海", "我们回家", "0"), ("买菜", "吃饭", "0")],
    "dev": [("今天下雨", "今天下雨", "1"), ("回家", "吃饭", "1"), ("今天", "明天", "0"), ("看海", "买菜", "0")],
    "test": [("今天去看海", "去看海", "1"), ("下雨", "买菜", "0")],
}


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def write_data(folder):
    for split, rows in ROWS.items():
        write(folder / f"{split}.txt", "".join("\t".join(row) + "\n" for row in rows))
    return folder


def log_of(*rows):
    return "step,split,name,value\n" + "".join(",".join(map(str, row)) + "\n" for row in rows)


def predictions_of(rows, answers):
    lines = ["id\ttext_a\ttext_b\tgold\tlabel\tprobability_0\tprobability_1"]
    for number, ((first, second, gold), answer) in enumerate(zip(rows, answers, strict=True)):
        share = 0.875 if answer == "1" else 0.125
        lines.append(f"{number}\t{first}\t{second}\t{gold}\t{answer}\t{1 - share:.6f}\t{share:.6f}")
    return "\n".join(lines) + "\n"


def write_finetuned(folder, data_dir, accuracy, answers="1101", test="10", **changes):
    """The files of training/finetuning.py that the report reads."""
    files = {split: data_dir / f"{split}.txt" for split in ("dev", "test")}
    metrics = {
        "task": "lcqmc",
        "settings": SETTINGS | {"data_dir": str(data_dir)},
        "best_step": 1200,
        "steps": 2400,
        "seconds": 33.5,
        "parameters": 4_081_146,
        "baselines": {"dev": {}},
        "scored": {split: sha256(file) for split, file in files.items() if file.exists()},
        "dev": {"accuracy": accuracy, "accuracy_low": 0.25, "accuracy_high": 1.0, "rows": 4},
    }
    write(folder / "metrics.json", json.dumps(metrics | changes))
    curves = [(step, "train", "loss", 2.0 - step / 2400) for step in (800, 1600, 2400)]
    curves += [(1200, "dev", "loss", 0.5), (1200, "dev", "accuracy", 0.75), (2400, "dev", "accuracy", 0.5)]
    write(folder / "log.csv", log_of(*curves))
    write(folder / "dev_predictions.tsv", predictions_of(ROWS["dev"], answers))
    if test:
        write(folder / "test_predictions.tsv", predictions_of(ROWS["test"], test))
    return folder


def write_pretrained(folder, tiny_config):
    """The files of training/pretraining.py that the report reads."""
    settings = {
        "kind": "pretraining",
        "config": tiny_config().to_dict(),
        "learning_rate": 0.001,
        "max_seq_length": 16,
        "train_batch_size": 8,
        "num_train_steps": 3000,
        "optimizer": "lamb",
        "random_seed": 7,
    }
    scores = {"mlm_loss": 2.25, "mlm_accuracy": 0.3125, "sop_loss": 0.6, "sop_accuracy": 0.65}
    scores |= {"unigram_loss": 3.375, "unigram_accuracy": 0.15}
    curves = [(step, "train", "mlm_loss", 4.0 - step / 2000) for step in (1000, 2000, 3000)]
    curves += [(3000, "dev", "mlm_loss", 2.25), (3000, "dev", "mlm_accuracy", 0.3125)]
    write(folder / "run.json", json.dumps(settings))
    write(folder / "eval_results.json", json.dumps(scores))
    write(folder / "log.csv", log_of(*curves))
    write(folder / "vocab.txt", "\n".join(VOCABULARY) + "\n")
    return folder


def write_manifest(record_file, **options):
    manifest = {
        "options": options,
        "counts": {"documents": 12, "sentences": 3456, "text_tokens": 70_000, "instances": 1},
        "shares": {"masked_tokens": 0.1498, "swapped": 0.5, "unknown_tokens": 0.0, "skipped_tokens": 0.01},
        "outputs": [{"file": record_file.name}],
    }
    write(record_file.with_name(record_file.name + ".manifest.json"), json.dumps(manifest))


@pytest.fixture
def place(tmp_path, tiny_config, write_records):
    """A folder with data/, pairs/ (fine-tuned), random/ (another such run), pretrained/ and records.tfrecord."""
    data = write_data(tmp_path / "data")
    write_finetuned(tmp_path / "pairs", data, 0.75)
    write_finetuned(tmp_path / "random", data, 0.375, test="")
    write_pretrained(tmp_path / "pretrained", tiny_config)
    ids = [VOCABULARY.index(token) for token in ("[CLS]", "今", "[MASK]", "下", "雨", "[SEP]", "看", "海", "[SEP]")]
    instance = MaskedInstance(
        input_ids=np.array(ids, np.int32),
        segment_ids=np.array([0] * 6 + [1] * 3, np.int32),
        positions=np.array([2], np.int32),
        labels=np.array([VOCABULARY.index("天")], np.int32),
        swapped=True,
    )
    write_records(tmp_path / "records.tfrecord", [instance])
    write_manifest(tmp_path / "records.tfrecord")
    return tmp_path


def page(place, **options):
    run(ReportOptions(output_file=str(place / "report.html"), **options))
    return (place / "report.html").read_text(encoding="utf-8")


def text_of(source):
    return html.unescape(re.sub(r"<style>.*?</style>|<.*?>", "", source, flags=re.DOTALL))


def everything(place, **changes):
    options = {
        "finetuned_dir": (str(place / "pairs"),),
        "pretrained_dir": str(place / "pretrained"),
        "record_file": str(place / "records.tfrecord"),
        "compare": (f"random weights={place / 'random'}",),
        "command": ("again=bash quickstart.sh a,b",),
        "next_step": ("try=albert-zh predict x --text a=b",),
    }
    return page(place, **(options | changes))


def test_the_page_holds_scores_baselines_and_the_hardest_rows(place):
    shown = text_of(everything(place))
    assert "75.0% dev" in shown  # 1 1 0 1 was answered
    assert "多数类 majority class50.0%" in shown  # of the dev labels 1 1 0 0
    assert "字符重合 character overlap75.0%" in shown  # 回家 吃饭 shares nothing and means the same
    assert "dev.txt:4" in shown  # a mistake
    assert "train 3 · dev 4 · test 2" in shown
    assert "100.0%" in shown  # both test answers are right


def test_the_page_holds_the_curves_and_the_loss_of_guessing_by_frequency(place):
    source = everything(place)
    described = " ".join(re.findall(r"<desc.*?>(.*?)</desc>", source))
    assert "训练 train: 3.500 at step 1,000, 2.500 at step 3,000" in described
    assert "只凭字频 frequency alone: 3.375" in described  # unigram_loss of eval_results.json
    assert "frequency alone: 15.0%" in described
    assert "最佳 best 75.0% @ 1,200" in described
    assert len(re.findall("<svg", source)) == 4  # sentence order was not logged
    assert "masked-LM loss 2.25 (by frequency alone 3.38)" in text_of(source)
    assert "Update 1,200 of 2,400 was kept" in text_of(source)


def test_the_page_holds_a_masked_example_and_the_counts_of_the_records(place):
    source = everything(place)
    assert re.search(r'<ruby class="mask"[^>]*>\[MASK\]<rt>天</rt></ruby>', source)
    assert "sentence-order label 1 (swapped)" in source
    assert "3,456" in source
    assert "14.98%" in source


def test_commands_keep_their_commas_and_equals_signs(place):
    shown = text_of(everything(place))
    assert "bash quickstart.sh a,b" in shown
    assert "albert-zh predict x --text a=b" in shown


def test_the_compared_run_has_a_bar_at_its_own_task(place):
    bar = r'<span class="name">random weights</span><span class="track"><i class="fill other" style="width:37.5%">'
    assert re.search(bar, everything(place))
    assert not re.search(bar, everything(place, compare=()))


def test_a_run_scored_on_other_rows_cannot_be_compared(place):
    write(place / "other" / "dev.txt", "今天\t今天\t1\n")
    write_finetuned(place / "elsewhere", place / "other", 0.9)
    with pytest.raises(InputError, match=r"elsewhere: scored on another dev file than .*pairs .*Compare"):
        everything(place, compare=(f"other={place / 'elsewhere'}",))


def test_a_comparison_with_a_task_that_is_not_shown_is_refused(place):
    write_finetuned(place / "topic", place / "data", 0.9, task="tnews")
    with pytest.raises(InputError, match=r"--compare x=.*topic: a run of tnews, of which no --finetuned_dir is given"):
        everything(place, compare=(f"x={place / 'topic'}",))


@pytest.mark.parametrize(
    ("folder", "file"),
    [
        ("pairs", "metrics.json"),
        ("pairs", "dev_predictions.tsv"),
        ("random", "metrics.json"),
        ("pretrained", "run.json"),
    ],
)
def test_an_unfinished_folder_is_refused_and_no_page_is_left(place, folder, file):
    (place / folder / file).unlink()
    with pytest.raises(InputError, match=rf"{folder}.*{re.escape(file)}"):
        everything(place)
    assert not (place / "report.html").exists()


def test_a_folder_that_is_not_there_is_refused(place):
    with pytest.raises(InputError, match=r"nowhere: no such folder. Give the --output_dir of a finished run"):
        page(place, finetuned_dir=(str(place / "nowhere"),))


def test_a_run_without_dev_scores_is_refused(place):
    metrics = json.loads((place / "pairs" / "metrics.json").read_text(encoding="utf-8"))
    del metrics["dev"], metrics["scored"]["dev"]
    write(place / "pairs" / "metrics.json", json.dumps(metrics))
    with pytest.raises(InputError, match=r"pairs: dev was not scored there.*--do_eval=true"):
        page(place, finetuned_dir=(str(place / "pairs"),))


def test_rows_that_changed_since_they_were_answered_are_refused(place):
    write(place / "data" / "dev.txt", "今天\t今天\t1\n")
    with pytest.raises(InputError, match=r"dev\.txt: not the rows that .*pairs answered .*Put those back"):
        page(place, finetuned_dir=(str(place / "pairs"),))


def test_rows_in_another_order_are_other_rows(place):
    lines = (place / "data" / "dev.txt").read_text(encoding="utf-8").splitlines(keepends=True)
    write(place / "data" / "dev.txt", "".join(reversed(lines)))
    with pytest.raises(InputError, match=r"dev\.txt: not the rows that .*pairs answered"):
        page(place, finetuned_dir=(str(place / "pairs"),))


def test_a_prediction_file_that_lacks_rows_is_refused(place):
    lines = (place / "pairs" / "dev_predictions.tsv").read_text(encoding="utf-8").splitlines(keepends=True)
    write(place / "pairs" / "dev_predictions.tsv", "".join(lines[:-1]))
    with pytest.raises(InputError, match=r"dev_predictions\.tsv: 3 predictions for 4 dev rows"):
        page(place, finetuned_dir=(str(place / "pairs"),))


def test_rows_that_are_gone_are_named_with_the_folder_they_lay_in(place):
    (place / "data").rename(place / "moved")
    with pytest.raises(InputError, match=r"pairs: its rows came from .*data, which is not there"):
        page(place, finetuned_dir=(str(place / "pairs"),))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "nothing to report: give --pretrained_dir, --finetuned_dir or both"),
        ({"pretrained_dir": "p", "compare": ("random",)}, "--compare random: not NAME=VALUE"),
        ({"finetuned_dir": ("f",), "record_file": "r"}, "--record_file: give --pretrained_dir too"),
    ],
)
def test_options_that_say_nothing_are_refused(tmp_path, options, message):
    options = {key: value if key != "pretrained_dir" else str(tmp_path) for key, value in options.items()}
    with pytest.raises(InputError, match=message):
        page(tmp_path, **options)


def test_records_of_another_vocabulary_are_refused(place):
    write(place / "pretrained" / "vocab.txt", "\n".join(VOCABULARY[:7]) + "\n")
    with pytest.raises(InputError, match=r"records\.tfrecord: made with a larger vocabulary than .*vocab\.txt"):
        everything(place)


def test_a_pretraining_without_evaluation_or_vocabulary_is_a_page(place):
    for file in ("eval_results.json", "vocab.txt"):
        (place / "pretrained" / file).unlink()
    source = page(place, pretrained_dir=str(place / "pretrained"))
    assert "frequency alone:" not in source
    assert len(re.findall("<svg", source)) == 2
    with pytest.raises(InputError, match=r"pretrained: no vocab\.txt or spm\.model"):
        everything(place)


def test_a_folder_that_was_scored_and_not_trained_is_a_page(place):
    metrics = json.loads((place / "pairs" / "metrics.json").read_text(encoding="utf-8"))
    kept = {name: metrics[name] for name in ("task", "dev", "scored")} | {"settings": {"data_dir": str(place / "data")}}
    write(place / "pairs" / "metrics.json", json.dumps(kept))
    (place / "pairs" / "log.csv").unlink()
    (place / "data" / "train.txt").unlink()
    source = page(place, finetuned_dir=(str(place / "pairs"),))
    assert "4 dev rows scored" in source
    assert "no trivial baselines to compare with" in source
    assert "<svg" not in source


def test_the_command_writes_the_page(place, capsys):
    words = ["report", f"--finetuned_dir={place / 'pairs'}", f"--output_file={place / 'out' / 'report.html'}"]
    assert main(words) == 0
    assert f"report: {place / 'out' / 'report.html'}" in capsys.readouterr().out
    assert (place / "out" / "report.html").stat().st_size > 10_000
