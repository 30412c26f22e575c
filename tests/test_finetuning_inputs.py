"""What cannot be fine-tuned: one error that names it and what to do, status 2, and nothing left behind."""

import json
import shutil
from pathlib import Path

import pytest

from albert_zh.cli import CHECKOUT, main
from albert_zh.config import AlbertConfig
from albert_zh.layouts import save_pretrained
from albert_zh.models.heads import AlbertForPretraining


@pytest.fixture(scope="module")
def pretrained(toy, tmp_path_factory):
    """A pretrained folder of the toy's network. Tests read it only."""
    folder = tmp_path_factory.mktemp("pretrained") / "model"
    model = AlbertForPretraining(AlbertConfig.from_json(toy / "albert_config.json"))
    save_pretrained(model, folder, vocabulary=toy / "vocab.txt")
    return folder


@pytest.fixture
def refused(tmp_path, finetune_flags, capsys):
    """``refused(flag=value, …)``: the message of a run into a new folder, after looking that nothing was left."""

    def run(**changes):
        before = listing(tmp_path)
        assert main(["finetune", *finetune_flags(tmp_path / "out", **changes)]) == 2
        assert listing(tmp_path) == before, "something half-written was left"
        message = capsys.readouterr().err
        return message[message.index("error: ") :]

    return run


def listing(folder):
    return {str(file): file.stat().st_mtime_ns for file in Path(folder).rglob("*") if file.is_file()}


def rewritten(toy, folder, split="train", **lines):
    """A copy of the toy's rows with some lines (``line_7="…"``) of a split replaced."""
    folder.mkdir()
    for name in ("train", "dev", "test"):
        rows = (toy / "pairs" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
        for number, text in lines.items() if name == split else ():
            rows[int(number.split("_")[1]) - 1] = text
        (folder / f"{name}.txt").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


# Flags


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task_name": "lcqmc_pear"}, "no task 'lcqmc_pear'. Did you mean 'lcqmc_pair'?"),
        ({"max_seq_length": 513}, "--max_seq_length=513: must be from 8 to 512"),
        ({"max_seq_length": 7}, "--max_seq_length=7: must be from 8 to 512"),
        ({"max_seq_length": 65}, "the config has 64 positions. Give --max_seq_length=64 or less"),
        ({"max_seq_length": None}, "--max_seq_length=128: the config has 64 positions"),  # the recipe's own length
        ({"do_train": "false", "do_eval": "false", "do_predict": "False"}, "nothing to do: give --do_train=true"),
        ({"do_train": "maybe"}, "--do_train: 'maybe' is not true or false"),
        ({"train_batch_size": 0}, "--train_batch_size=0: must be more than 0"),
        ({"learning_rate": 0}, "--learning_rate=0.0: must be more than 0"),
        ({"warmup_proportion": 1}, "must be from 0 to below 1"),
        ({"eval_steps": -1}, "--eval_steps=-1"),
        ({"bert_config_file": None}, "give --init_checkpoint, or --bert_config_file and --vocab_file"),
        ({"vocab_file": None}, "no vocabulary: none lies beside the checkpoint and --vocab_file is not given"),
        ({"vocab_file": "not/there.txt"}, "--vocab_file=not/there.txt: no such file"),
        ({"bert_config_file": "not/there.json"}, "not/there.json: cannot be read"),
        ({"init_checkpoint": "not/there"}, "not/there: no checkpoint there"),
        ({"trian_batch_size": 8}, "unknown flag --trian_batch_size. Did you mean --train_batch_size?"),
        ({"do_train": "false"}, "no finished fine-tuned model there"),
    ],
)
def test_a_flag_that_cannot_be_is_named_with_what_may_stand_there(refused, changes, message):
    assert message in refused(**changes)


def test_a_config_with_an_unknown_or_a_missing_key_is_named(refused, toy, tmp_path):
    values = json.loads((toy / "albert_config.json").read_text(encoding="utf-8"))
    (tmp_path / "config.json").write_text(json.dumps(values | {"hiden_size": 3}), encoding="utf-8")
    assert f"{tmp_path}/config.json: unknown key 'hiden_size'. Did you mean 'hidden_size'?" in refused(
        bert_config_file=tmp_path / "config.json"
    )
    del values["hidden_size"]
    (tmp_path / "config.json").write_text(json.dumps(values), encoding="utf-8")
    assert "missing key 'hidden_size'" in refused(bert_config_file=tmp_path / "config.json")


def test_a_vocabulary_larger_than_the_model_is_refused(refused):
    message = refused(vocab_file=Path(CHECKOUT) / "albert_config" / "vocab.txt")
    assert "21,128 entries, but the config's vocab_size is 33" in message


# Rows


@pytest.mark.parametrize(
    ("split", "line", "message"),
    [
        ("train", "天地\t人和\t2", 'train.txt:7: label "2" is not one of "0", "1"'),
        ("dev", "天地\t人和\t是", 'dev.txt:7: label "是" is not one of "0", "1"'),
        ("test", "天地\t人和\t3", 'test.txt:7: label "3" is not one of "0", "1"'),
        ("train", "天地人和\t1", "train.txt:7: 2 tab-separated columns where 3 are needed"),
        ("test", "天地人和", "test.txt:7: 1 tab-separated columns where 3 are needed"),
        ("train", "天地\t\t1", "train.txt:7: a text is empty"),
        ("dev", "天地\t人和\t", "dev.txt:7: no label in a dev row"),
    ],
)
def test_a_bad_row_of_any_split_stops_the_run_before_it_begins(refused, toy, tmp_path, split, line, message):
    assert message in refused(data_dir=rewritten(toy, tmp_path / "data", split, line_7=line))


def test_a_file_that_is_missing_empty_or_not_utf8_is_named(refused, toy, tmp_path):
    data = rewritten(toy, tmp_path / "data")
    assert "no such folder" in refused(data_dir=tmp_path / "nowhere")
    for split in ("train", "dev", "test"):
        path = data / f"{split}.txt"
        kept = path.read_bytes()
        path.unlink()
        assert f"no {split} file of lcqmc. Looked for {split}.txt, {split}.tsv" in refused(data_dir=data)
        path.write_bytes(b"")
        assert f"{split}.txt: the file holds no rows" in refused(data_dir=data)
        path.write_bytes(kept + "你好\t天地\t1\n".encode("gb18030"))
        assert f"{split}.txt:{kept.count(10) + 1}: not UTF-8" in refused(data_dir=data)
        path.write_bytes(kept)


# The checkpoint


def test_the_vocabulary_of_the_checkpoint_wins_and_another_is_refused_with_both_hashes(
    refused, toy, pretrained, tmp_path, finetune_flags
):
    other = tmp_path / "other.txt"
    other.write_text((toy / "vocab.txt").read_text(encoding="utf-8").replace("天\n地", "地\n天"), encoding="utf-8")
    message = refused(init_checkpoint=pretrained, vocab_file=other)
    assert message.count("(sha256 ") == 2
    assert str(other) in message
    assert str(pretrained / "vocab.txt") in message
    few = {"num_train_epochs": 0.1, "do_predict": "false", "vocab_file": None, "bert_config_file": None}
    assert main(["finetune", *finetune_flags(tmp_path / "out", init_checkpoint=pretrained, **few)]) == 0
    assert (tmp_path / "out" / "vocab.txt").read_bytes() == (pretrained / "vocab.txt").read_bytes()


@pytest.mark.parametrize(
    ("size", "variable", "shapes"),
    [
        ({"hidden_size": 32}, "bert/embeddings/position_embeddings", ("[64, 16]", "[64, 32]")),
        ({"vocab_size": 40}, "bert/embeddings/word_embeddings", ("[33, 16]", "[40, 16]")),
        ({"intermediate_size": 48}, "intermediate/dense/kernel", ("[16, 32]", "[16, 48]")),
    ],
)
def test_a_config_of_another_size_is_refused_with_the_variable_and_both_shapes(
    refused, toy, pretrained, tmp_path, size, variable, shapes
):
    AlbertConfig.from_json(toy / "albert_config.json").replace(**size).to_json(tmp_path / "config.json")
    message = refused(init_checkpoint=pretrained, bert_config_file=tmp_path / "config.json")
    for part in ("brightmart checkpoint of another size", variable, *shapes):
        assert part in message


@pytest.mark.parametrize(("suffix", "kept"), [(".data-00000-of-00001", 0.5), (".index", 0.5), (".index", 0)])
def test_a_truncated_checkpoint_is_refused_and_the_folder_stays_free(
    refused, pretrained, tmp_path, finetune_flags, suffix, kept
):
    broken = tmp_path / "broken"
    shutil.copytree(pretrained, broken)
    file = broken / f"albert_model.ckpt{suffix}"
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * kept)])
    message = refused(init_checkpoint=broken)
    assert str(broken) in message
    assert "copy" in message


def test_a_classifier_of_another_task_is_refused(refused, finetuned):
    message = refused(task_name="tnews", init_checkpoint=finetuned, data_dir=Path(CHECKOUT) / "data" / "tnews")
    assert "its classifier is that of another task (lcqmc, pair): 2 classes, tnews has 15" in message


# The output folder


def test_a_folder_that_holds_another_run_is_left_as_it_is(finetune_flags, finetuned, tmp_path, capsys):
    folder = tmp_path / "out"
    shutil.copytree(finetuned, folder)
    before = listing(folder)
    assert main(["finetune", *finetune_flags(folder, random_seed=9)]) == 2
    assert "holds another run: random_seed was 12345 there, is 9 now" in capsys.readouterr().err
    assert main(["finetune", *finetune_flags(folder, do_train="false", init_checkpoint=finetuned)]) == 2
    assert "holds another run than --init_checkpoint" in capsys.readouterr().err
    assert listing(folder) == before


def test_changed_rows_make_another_run_of_the_same_command(finetune_flags, finetuned, toy, tmp_path, capsys):
    folder, data = tmp_path / "out", rewritten(toy, tmp_path / "data", line_7="天地\t人和\t1")
    shutil.copytree(finetuned, folder)
    assert main(["finetune", *finetune_flags(folder, data_dir=data)]) == 2
    assert "train_sha256 was" in capsys.readouterr().err


def test_overwriting_drops_the_other_run_at_once_and_not_before_the_new_one_is_checked(
    finetune_flags, finetuned, tmp_path, monkeypatch
):
    from albert_zh.training.loop import Loop

    folder = tmp_path / "out"
    shutil.copytree(finetuned, folder)
    flags = finetune_flags(folder, random_seed=9, overwrite="true")
    before = listing(folder)
    assert main(["finetune", *flags, "--init_checkpoint=not/there"]) == 2
    assert listing(folder) == before

    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Loop, "step", stopped)
    assert main(["finetune", *flags]) == 130
    assert not [name for name in ("task.json", "metrics.json", "dev_predictions.tsv") if (folder / name).exists()]


def test_a_diverging_run_names_the_rows_and_the_folder_takes_a_lower_rate(
    tmp_path, finetune_flags, monkeypatch, capsys
):
    from albert_zh.training.loop import Loop, NonFiniteError

    def diverged(loop, batch, step, rate):
        raise NonFiniteError(f"step {step}: loss is not finite")

    monkeypatch.setattr(Loop, "step", diverged)
    assert main(["finetune", *finetune_flags(tmp_path / "out", learning_rate=5)]) == 2
    message = capsys.readouterr().err
    assert "step 0: loss is not finite" in message
    assert "train.txt:" in message
    monkeypatch.undo()
    few = {"num_train_epochs": 0.1, "do_predict": "false"}
    assert main(["finetune", *finetune_flags(tmp_path / "out", **few)]) == 0
