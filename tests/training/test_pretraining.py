"""Pretraining from records to a finished folder, in this process and as users type it."""

import contextlib
import csv
import dataclasses
import io
import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from albert_zh import pretrained
from albert_zh.convert.tensorflow1 import read_checkpoint
from albert_zh.files import InputError, read_json
from albert_zh.pretrain.example import MaskedInstance
from albert_zh.training import pretraining
from albert_zh.training.batches import PretrainingBatches
from albert_zh.training.logs import curve, read_log

SCORES = {"mlm_loss", "mlm_accuracy", "sop_loss", "sop_accuracy"}


def run(options):
    """(scores, what was printed)"""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        scores = pretraining.run(options)
    return scores, printed.getvalue()


def names(folder):
    return sorted(path.name for path in Path(folder).iterdir())


def checkpoint(prefix):
    return [f"{prefix}.data-00000-of-00001", f"{prefix}.index"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory, pretrain_options):
    """A finished run: (options, scores, printed). Dev is the last of the same records."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "words.txt").write_text("[PAD]\n", encoding="utf-8")
    options = pretrain_options(
        folder / "out",
        eval_input_file=(),
        vocab_file=str(folder / "words.txt"),
        export_dir=str(folder / "export"),
        learning_rate=None,
    )
    return options, *run(options)


# --------------------------------------------------------------------------------------------------------- what is left


def test_a_run_leaves_its_model_its_checkpoints_its_scores_and_its_log(finished):
    options, scores, printed = finished
    assert names(options.output_dir) == sorted(
        [
            *checkpoint("albert_model.ckpt"),
            *checkpoint("model.ckpt-6"),
            *checkpoint("model.ckpt-8"),
            *checkpoint("model.ckpt-best"),
            "albert_config.json",
            "eval_results.json",
            "log.csv",
            "run.json",
            "tensorboard",
            "vocab.txt",
        ]
    )
    assert names(options.export_dir) == sorted([*checkpoint("albert_model.ckpt"), "albert_config.json", "vocab.txt"])
    assert scores.keys() >= SCORES
    assert read_json(Path(options.output_dir) / "eval_results.json") == scores
    assert printed.rstrip().splitlines()[-1].startswith(f"finished: {options.output_dir}")
    assert f"finished model: {options.export_dir}" in printed


def test_the_finished_model_loads_and_is_the_best_by_dev(finished):
    options, _, _ = finished
    steps, losses = zip(*zip(*curve(Path(options.output_dir) / "log.csv", "dev", "mlm_loss"), strict=True), strict=True)
    sop = curve(Path(options.output_dir) / "log.csv", "dev", "sop_loss")[1]
    best = min(range(len(steps)), key=lambda i: losses[i] + sop[i])
    saved = read_checkpoint(Path(options.output_dir) / "model.ckpt-8")
    assert int(saved["best_step"]) == steps[best]
    assert float(saved["best_quality"]) == pytest.approx(-(losses[best] + sop[best]))
    said = []
    pretrained.load_pretrained(options.export_dir, say=said.append)
    assert "not in it" not in said[0]
    finished_weights, best_weights = (
        read_checkpoint(Path(options.output_dir) / name) for name in ("albert_model.ckpt", "model.ckpt-best")
    )
    for name, array in finished_weights.items():
        np.testing.assert_array_equal(array, best_weights[name])
        np.testing.assert_array_equal(array, read_checkpoint(Path(options.export_dir) / "albert_model.ckpt")[name])


def test_a_checkpoint_holds_weights_moments_and_the_update_under_published_names(finished):
    arrays = read_checkpoint(Path(finished[0].output_dir) / "model.ckpt-8")
    weights = {name for name in arrays if name.startswith(("bert/", "cls/")) and "/lamb_" not in name}
    assert {f"{name}/{slot}" for name in weights for slot in ("lamb_m", "lamb_v")} | weights == {
        name for name in arrays if name not in ("global_step", "best_quality", "best_step")
    }
    assert arrays["global_step"] == 8


def test_the_log_has_losses_accuracies_norm_rate_and_speed(finished):
    path = Path(finished[0].output_dir) / "log.csv"
    with open(path, encoding="utf-8", newline="") as stream:
        assert next(csv.reader(stream)) == ["step", "split", "name", "value"]
    rows = read_log(path)
    trained = {name for _, split, name, _ in rows if split == "train"}
    assert trained == SCORES | {"gradient_norm", "learning_rate", "updates_per_second"}
    assert {name for _, split, name, _ in rows if split == "dev"} == SCORES
    assert curve(path, "train", "mlm_loss")[0] == [2, 3, 4, 6, 8]  # every 2 updates, and where a checkpoint is
    assert curve(path, "dev", "mlm_loss")[0] == [3, 6, 8]
    peak = finished[0].peak_rate
    assert curve(path, "train", "learning_rate")[1] == pytest.approx(
        [peak * x for x in (0.5, 6 / 8, 5 / 8, 3 / 8, 1 / 8)]
    )


def test_devices_records_effective_batch_and_rate_are_printed_first(finished):
    options, _, printed = finished
    lines = printed.splitlines()
    assert lines[0].startswith("devices: OneDeviceStrategy, 1 replica(s) on ")
    assert lines[1].startswith("model: brightmart, 2 layers, hidden 16, ")
    assert lines[2].startswith("records: 32 to train on, the last 1 kept out for dev")
    assert lines[3] == (
        "batch: 8 rows of 16 tokens an update = 1 device(s) x 2 x 4; 8 updates = 2.0 passes over the records"
    )
    assert lines[4] == (
        f"rate: {options.peak_rate:.3g} after 2 updates of warm-up, lamb "
        "(published rate, scaled by the root of the batch)"
    )


# ---------------------------------------------------------------------------------------------------------- same folder


def test_a_finished_run_started_again_trains_nothing(finished):
    options, scores, _ = finished
    before = {name: (Path(options.output_dir) / name).read_bytes() for name in checkpoint("albert_model.ckpt")}
    log = (Path(options.output_dir) / "log.csv").read_bytes()
    again, printed = run(options)
    assert again == pytest.approx(scores)
    assert f"going on after update 8 of {options.output_dir}" in printed
    assert (Path(options.output_dir) / "log.csv").read_bytes() == log
    assert before == {name: (Path(options.output_dir) / name).read_bytes() for name in before}


def test_evaluation_alone_measures_the_finished_model_of_the_folder(finished, tmp_path):
    options, scores, _ = finished
    alone = dataclasses.replace(
        options,
        do_train=False,
        bert_config_file="",
        input_file=options.input_file[1:],
        eval_input_file=options.input_file[1:],
    )
    again, printed = run(dataclasses.replace(alone, output_dir=options.export_dir))
    assert "arrays loaded" in printed
    assert again.keys() == scores.keys()
    with pytest.raises(InputError, match="no checkpoint there"):
        run(dataclasses.replace(alone, output_dir=str(tmp_path / "none")))


def test_another_option_in_the_same_folder_is_refused_and_overwrite_drops_the_run(finished, tmp_path):
    folder = tmp_path / "out"
    shutil.copytree(finished[0].output_dir, folder)
    options = dataclasses.replace(finished[0], output_dir=str(folder), export_dir="", micro_batch_size=0)
    for name, value in (("learning_rate", 0.02), ("random_seed", 1), ("optimizer", "adamw"), ("clip_norm", 2.0)):
        with pytest.raises(InputError, match=f"holds another run: {name} was .*--overwrite=true"):
            run(dataclasses.replace(options, micro_batch_size=4, **{name: value}))
    _, printed = run(dataclasses.replace(options, num_train_steps=1, num_warmup_steps=0, do_eval=False, overwrite=True))
    assert "going on" not in printed
    assert not any(path.startswith(("model.ckpt-8", "model.ckpt-best")) for path in names(folder))
    assert {row[0] for row in read_log(folder / "log.csv")} == {"1"}
    assert read_json(folder / "run.json")["num_train_steps"] == 1


def test_a_run_that_chose_its_best_by_dev_does_not_go_on_without_it_or_by_another(pretrain_options, tmp_path):
    options = pretrain_options(tmp_path / "out", num_train_steps=1, num_warmup_steps=0)
    run(options)
    for changes in ({"do_eval": False}, {"eval_input_file": options.input_file[1:]}, {"max_eval_steps": 1}):
        with pytest.raises(InputError, match="holds another run: dev_"):
            run(dataclasses.replace(options, **changes))


def test_overwrite_starts_the_same_run_over(pretrain_options, tmp_path):
    options = pretrain_options(tmp_path / "out", num_train_steps=2, num_warmup_steps=0, do_eval=False)
    run(options)
    trained = (tmp_path / "out" / "model.ckpt-2.index").stat().st_mtime_ns
    _, printed = run(dataclasses.replace(options, overwrite=True))
    assert "going on" not in printed
    assert (tmp_path / "out" / "model.ckpt-2.index").stat().st_mtime_ns > trained


def test_the_exported_model_never_takes_other_files_away(pretrain_options, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x", encoding="utf-8")
    (tmp_path / "out").mkdir()
    for export, message in (
        ("mine", r"mine: would be replaced by the model, but holds other files \(thesis\.txt\)"),
        ("out", "is, or holds, --output_dir"),
        (".", "is, or holds, --output_dir"),
    ):
        with pytest.raises(InputError, match=message):
            run(pretrain_options(tmp_path / "out", export_dir=str(tmp_path / export)))
    assert (tmp_path / "mine" / "thesis.txt").exists()
    assert names(tmp_path / "out") == []


def test_a_checkpoint_gone_on_from_is_not_exported_over_and_its_vocabulary_is_not_guessed(
    finished, pretrain_options, tmp_path
):
    start = tmp_path / "start"
    shutil.copytree(finished[0].export_dir, start)
    with pytest.raises(InputError, match="is the folder of --init_checkpoint"):
        run(pretrain_options(tmp_path / "out", init_checkpoint=str(start), export_dir=str(start)))
    (start / "vocab.txt").rename(start / "vocab_a.txt")
    (start / "vocab_b.txt").write_text("[UNK]\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"several files could be meant: vocab_a\.txt, vocab_b\.txt"):
        run(pretrain_options(tmp_path / "out", init_checkpoint=str(start)))
    assert names(tmp_path) == ["start"]


@pytest.mark.parametrize("place", ["input_file", "eval_input_file"])
def test_a_manifest_speaks_for_all_its_files_and_for_dev(place, pretrain_options, tiny_config, tmp_path):
    tiny_config().to_json(tmp_path / "config.json")
    options = pretrain_options(tmp_path / "out", bert_config_file=str(tmp_path / "config.json"))
    for number in (0, 1):
        shutil.copy(options.input_file[number], tmp_path / f"tf-{number}.tfrecord")
    (tmp_path / "vocab.txt").write_text("[PAD]\n", encoding="utf-8")

    def made_with(**vocabulary):
        manifest = {
            "identity": {"vocabulary": {"sha256": "0" * 64, "size": 3} | vocabulary},
            "options": {"vocab_file": "gone.txt", "spm_model_file": ""},
            "outputs": [{"file": "tf-0.tfrecord"}, {"file": "tf-1.tfrecord"}],
        }
        (tmp_path / "tf-0.tfrecord.manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
        return dataclasses.replace(options, **{place: (str(tmp_path / "tf-1.tfrecord"),)})

    with pytest.raises(InputError, match=r"tf-1\.tfrecord: made with another vocabulary"):
        run(dataclasses.replace(made_with(), vocab_file=str(tmp_path / "vocab.txt")))
    with pytest.raises(InputError, match=r"tf-1\.tfrecord: made with a vocabulary of 30,000 entries, .* vocab_size is"):
        run(made_with(size=30_000))


# ----------------------------------------------------------------------------------------------------------------- rows


def test_rows_of_dev_are_never_trained_on_and_all_others_are(
    pretrain_options, tmp_path, monkeypatch, random_instances, write_records
):
    seen, read = {"train": set(), "dev": set()}, PretrainingBatches.read

    def spy(self, rows, size=None):
        seen["dev" if size is not None else "train"].update(int(row) for row in rows)
        return read(self, rows, size)

    guess = {"unigram_loss": 0.0, "unigram_accuracy": 0.0}  # reads rows too, to count words
    monkeypatch.setattr(PretrainingBatches, "read", spy)
    monkeypatch.setattr(pretraining._Pretraining, "_unigram_baseline", lambda self: guess)
    path = write_records(tmp_path / "r.tfrecord", random_instances(250))
    run(
        pretrain_options(
            tmp_path / "out", input_file=(path,), eval_input_file=(), num_train_steps=31, micro_batch_size=0
        )
    )
    assert seen == {"train": set(range(248)), "dev": {248, 249}}  # the last 1%


def test_dev_is_measured_on_a_bounded_number_of_rows(pretrain_options, tmp_path):
    full, cut = (
        pretraining._Pretraining(pretrain_options(tmp_path / "out", max_eval_steps=steps)).eval_rows
        for steps in (100, 1)
    )
    assert (len(full), len(cut)) == (4, 3)


# ------------------------------------------------------------------------------------------------------------- learning


def test_a_small_network_learns_a_handful_of_instances_by_heart(
    pretrain_options, tmp_path, random_instances, write_records, tiny_config
):
    tiny_config(hidden_size=32, embedding_size=16).to_json(tmp_path / "c.json")
    path = write_records(tmp_path / "few.tfrecord", random_instances(4))
    scores, _ = run(
        pretrain_options(
            tmp_path / "out",
            bert_config_file=str(tmp_path / "c.json"),
            input_file=(path,),
            eval_input_file=(path,),
            micro_batch_size=0,
            num_train_steps=120,
            num_warmup_steps=10,
            save_checkpoints_steps=120,
            learning_rate=0.05,
            jit_compile="off",
        )
    )
    losses = curve(tmp_path / "out" / "log.csv", "train", "mlm_loss")[1]
    assert losses[0] == pytest.approx(math.log(40), rel=0.05)
    assert scores["mlm_loss"] < 0.1 * min(losses[0], scores["unigram_loss"])
    assert scores["mlm_accuracy"] == scores["sop_accuracy"] == 1.0


@pytest.fixture
def golden_run(golden, tmp_path, pretrain_options, write_records):
    """Options that evaluate the golden brightmart checkpoint on the golden rows, and what it must score there."""
    folder = golden / "brightmart_postln"
    arrays, instances = np.load(folder / "expected.npz"), []
    for row in range(3):
        n, k = int(arrays["input_mask"][row].sum()), int(arrays["masked_lm_weights"][row].sum())
        instances.append(
            MaskedInstance(
                arrays["input_ids"][row, :n].astype(np.int32),
                arrays["segment_ids"][row, :n].astype(np.int32),
                arrays["masked_lm_positions"][row, :k].astype(np.int32),
                arrays["masked_lm_ids"][row, :k].astype(np.int32),
                bool(arrays["next_sentence_labels"][row]),
            )
        )
    path = write_records(tmp_path / "golden.tfrecord", instances)
    options = pretrain_options(
        tmp_path / "out",
        input_file=(path,),
        eval_input_file=(path,),
        bert_config_file="",
        init_checkpoint=str(folder),
        do_train=False,
        max_seq_length=24,
        max_predictions_per_seq=5,
        eval_batch_size=2,
    )
    total = float(arrays["masked_lm_weights"].sum())
    # The published mean divides by the sum of the weights plus 1e-5.
    return options, float(arrays["mlm_loss"]) * (total + 1e-5) / total, float(arrays["sop_loss"])


def test_evaluating_a_published_checkpoint_gives_its_published_losses(golden_run):
    options, mlm_loss, sop_loss = golden_run
    scores, printed = run(options)
    assert scores["mlm_loss"] == pytest.approx(mlm_loss, abs=1e-5)
    assert scores["sop_loss"] == pytest.approx(sop_loss, abs=1e-5)
    assert f"dev: mlm {mlm_loss:.4f} (" in printed
    assert names(options.output_dir) == ["eval_results.json"]


def test_going_on_from_a_checkpoint_tells_dev_before_the_first_update(golden_run, pretrain_options):
    options, mlm_loss, sop_loss = golden_run
    options = dataclasses.replace(
        options, do_train=True, num_train_steps=2, num_warmup_steps=0, train_batch_size=3, micro_batch_size=0
    )
    _, printed = run(options)
    assert "arrays loaded, 0 optimizer slots passed over" in printed
    first = next(line for line in printed.splitlines() if line.startswith("dev before the first update"))
    assert f"mlm {mlm_loss:.4f} (" in first
    assert f"sop {sop_loss:.4f} (" in first
    steps, losses = curve(Path(options.output_dir) / "log.csv", "dev", "mlm_loss")
    assert steps == [0, 2]
    assert losses[0] == pytest.approx(mlm_loss, abs=1e-5)
    trained = read_checkpoint(Path(options.output_dir) / "model.ckpt-2")
    start = read_checkpoint(Path(options.init_checkpoint) / "albert_model.ckpt")
    moved = [name for name in start if (trained[name] != start[name]).any()]
    assert len(moved) == len(start)


# ----------------------------------------------------------------------------------------------------------- bad inputs


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"micro_batch_size": 3}, "--micro_batch_size=3: does not divide the 8 rows of a device"),
        ({"max_seq_length": 128}, "--max_seq_length=128: the config has only 64 positions"),
        ({"input_file": ("none*.tfrecord",)}, "none.*: no such file"),
        ({"bert_config_file": "none.json"}, "none.json: cannot be read"),
        ({"init_checkpoint": "none.ckpt"}, "none.ckpt: no checkpoint there"),
        ({"vocab_file": "none.txt"}, "--vocab_file=none.txt: no such file"),
        ({"distribution_strategy": "two"}, "--distribution_strategy=two"),
    ],
)
def test_what_cannot_be_used_is_refused_before_a_folder_is_made(changes, message, pretrain_options, tmp_path):
    with pytest.raises(InputError, match=message):
        run(pretrain_options(tmp_path / "out", **changes))
    assert names(tmp_path) == []


def test_records_that_do_not_fit_are_refused_and_the_corrected_command_is_no_other_run(
    pretrain_options, tmp_path, monkeypatch
):
    message = r"tf[12]\.tfrecord: record \d+: \w+ holds \d+ values, more than --max_seq_length=8"
    with pytest.raises(InputError, match=message):
        run(pretrain_options(tmp_path / "out", max_seq_length=8, do_eval=False))
    trained = []
    monkeypatch.setattr(pretraining._Pretraining, "_train", lambda self: trained.append(self.options.max_seq_length))
    monkeypatch.setattr(pretraining._Pretraining, "_finish", lambda self: None)
    run(pretrain_options(tmp_path / "out", do_eval=False))
    assert trained == [16]


@pytest.mark.parametrize(
    ("limit", "batch", "expected"),
    [
        (64, 4096, (64, 64)),
        (4, 4, (4, 1)),
        (9, 4, (4, 1)),
        (0, 64, (64, 1)),
        (0, 40_000, (10_000, 4)),
        (0, 20_011, (1, 20_011)),
    ],
)
def test_micro_batches_make_up_the_batch(limit, batch, expected, pretrain_options, tmp_path):
    options = pretrain_options(tmp_path / "out", train_batch_size=batch, micro_batch_size=limit)
    made = pretraining._Pretraining(options)
    assert (made.micro_batch, made.accumulate) == expected
    assert made.micro_batch * made.accumulate == batch


def test_a_loss_that_is_not_finite_stops_the_run_naming_update_rows_and_rate(pretrain_options, tmp_path):
    options = pretrain_options(
        tmp_path / "out",
        learning_rate=3e38,
        num_warmup_steps=0,
        save_checkpoints_steps=1,
        do_eval=False,
        micro_batch_size=0,
    )
    with pytest.raises(
        InputError,
        match=r"step 1: .*is not finite \(batch of 8 rows, .*tf[12]\.tfrecord: record \d+ … .*--learning_rate \(now",
    ):
        run(options)
    assert set(checkpoint("model.ckpt-1")) <= set(names(tmp_path / "out"))  # the last good one stands
    assert "albert_model.ckpt.index" not in names(tmp_path / "out")


# ------------------------------------------------------------------------------------------------------- as it is typed


def test_the_script_runs_with_an_unquoted_glob_both_names_of_the_config_and_both_spellings_of_true(
    pretrain_options, tmp_path, tiny_config, start
):
    tiny_config(family="google").to_json(tmp_path / "albert_config_tiny_google.json")
    first, second = pretrain_options("").input_file
    process = start(
        [
            "run_pretraining_google.py",
            f"--input_file={first}",
            second,  # the shell made two words of ./data/tf*.tfrecord
            f"--output_dir={tmp_path / 'out'}",
            f"--export_dir={tmp_path / 'export'}",
            "--do_train=True",
            "--do_eval=true",
            f"--albert_config_file={tmp_path / 'albert_config_tiny_google.json'}",
            "--train_batch_size=8",
            "--eval_batch_size=64",
            "--max_seq_length=16",
            "--max_predictions_per_seq=3",
            "--num_train_steps=2",
            "--num_warmup_steps=1",
            "--learning_rate=0.00176",
            "--save_checkpoints_steps=2000",
            "--use_tpu=False",
        ]
    )
    printed, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert "model: google, 2 layers, hidden 16" in printed
    assert "records: 32 to train on, the last 1 kept out for dev" in printed
    source = pretrained.find(tmp_path / "export")
    assert (source.config.family, source.where) == ("google", str(tmp_path / "export" / "albert_model.ckpt"))
    assert read_json(tmp_path / "out" / "eval_results.json").keys() >= SCORES
