"""Trained as a cloze: the folder answers by itself, a killed run goes on, the pooler stays, errors say what to do."""

import json
import shutil

import numpy as np
import pytest

from albert_zh import pretrained
from albert_zh.cli import main
from albert_zh.config import AlbertConfig
from albert_zh.convert.weights import arrays_of
from albert_zh.layouts import save_pretrained
from albert_zh.models.heads import AlbertForClassification, AlbertForPretraining
from albert_zh.serve.classifier import Classifier

PROMPT = {"prompt": "true", "prompt_template": "日{mask}月{text_a}星{text_b}", "prompt_words": "0=天地,1=草木"}


@pytest.fixture(scope="module")
def start(toy, tmp_path_factory):
    """Flags that start from a pretraining model of random weights."""
    folder = tmp_path_factory.mktemp("start") / "model"
    config = AlbertConfig.from_json(toy / "albert_config.json")
    save_pretrained(AlbertForPretraining(config, seed=4), folder, vocabulary=toy / "vocab.txt")
    return {"init_checkpoint": folder, "vocab_file": None, "bert_config_file": None}


@pytest.fixture(scope="module")
def trained(start, finetune_flags, tmp_path_factory):
    folder = tmp_path_factory.mktemp("prompt") / "out"
    assert main(["finetune", *finetune_flags(folder, **start, **PROMPT)]) == 0
    return folder


def metrics(folder):
    return json.loads((folder / "metrics.json").read_text(encoding="utf-8"))


def rows_of(path):
    return [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()[1:]]


def test_it_learns_without_a_classifier_and_the_pooler_is_left_alone(trained, start):
    assert metrics(trained)["dev"]["accuracy"] > 0.9
    before, after = (pretrained.find(folder) for folder in (start["init_checkpoint"], trained))
    assert after.has_masked_lm
    assert not after.classes
    held, now = (source.stored.read(source.shapes) for source in (before, after))
    for name, array in now.items():
        assert np.array_equal(array, held[name]) == name.startswith("bert/pooler/"), name


def test_the_folder_answers_by_itself_what_the_run_answered(trained, tmp_path):
    folder = shutil.copytree(trained, tmp_path / "elsewhere")
    rows = rows_of(trained / "test_predictions.tsv")
    answers = Classifier(folder).predict([(row[1], row[2]) for row in rows])
    np.testing.assert_allclose([a.probabilities for a in answers], [[*map(float, row[-2:])] for row in rows], atol=2e-6)


def test_its_answers_can_be_had_again_without_saying_how_it_was_asked(trained, finetune_flags, tmp_path, start):
    folder = shutil.copytree(trained, tmp_path / "again")
    (folder / "test_predictions.tsv").unlink()
    flags = finetune_flags(folder, do_train=None, do_eval=None, vocab_file=None, bert_config_file=None)
    assert main(["finetune", *flags]) == 0
    assert (folder / "test_predictions.tsv").read_bytes() == (trained / "test_predictions.tsv").read_bytes()
    # As people do: the pretrained model named again, only answers asked for.
    (folder / "test_predictions.tsv").unlink()
    flags = finetune_flags(folder, do_train=None, do_eval=None, **start, **PROMPT)
    assert main(["finetune", *flags]) == 0
    assert (folder / "test_predictions.tsv").read_bytes() == (trained / "test_predictions.tsv").read_bytes()


def test_a_stopped_run_goes_on_to_the_same_weights(trained, start, finetune_flags, tmp_path, stopped_at):
    words = ["finetune", *finetune_flags(tmp_path / "out", **start, **PROMPT)]
    with stopped_at(30):
        assert main(words) == 130
    assert main(words) == 0
    name = "albert_model.ckpt.data-00000-of-00001"
    assert (tmp_path / "out" / name).read_bytes() == (trained / name).read_bytes()


def test_another_prompt_is_another_run(trained, start, finetune_flags, tmp_path, capsys):
    folder = shutil.copytree(trained, tmp_path / "out")
    other = PROMPT | {"prompt_words": "0=天人,1=草木"}
    assert main(["finetune", *finetune_flags(folder, **start, **other)]) == 2
    assert "prompt" in capsys.readouterr().err


def test_seeds_and_rates_of_a_sweep_share_the_compiled_step(start, finetune_flags, tmp_path):
    flags = finetune_flags(
        tmp_path / "sweep", **start, **PROMPT, sweep="true", learning_rates="0.01,0.003", learning_rate=None
    )
    assert main(["finetune", *flags]) == 0
    assert main(["finetune", *finetune_flags(tmp_path / "one", **start, **PROMPT, learning_rate=0.003)]) == 0
    name = "albert_model.ckpt.data-00000-of-00001"
    assert (tmp_path / "sweep" / "rate_0.003" / name).read_bytes() == (tmp_path / "one" / name).read_bytes()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prompt_words": "0=天地,1=草"}, "the prompt of lcqmc: label words must have as many tokens each"),
        ({"prompt_words": "天地"}, "--prompt_words=天地: write LABEL=WORD"),
        ({"prompt_words": "2=天地"}, "a word for '2', which is no label; the labels are 0, 1"),
        ({"prompt_template": "日{mask}"}, "must hold {mask}, {text_a}, {text_b}"),
        ({"prompt": "false"}, "--prompt_template: goes with --prompt=true"),
    ],
)
def test_a_prompt_that_cannot_be_used_is_told_before_anything_is_left(
    start, finetune_flags, tmp_path, capsys, changes, message
):
    assert main(["finetune", *finetune_flags(tmp_path / "out", **start, **(PROMPT | changes))]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_model_that_ends_in_a_classifier_cannot_fill_a_blank(finetuned, finetune_flags, tmp_path, capsys, toy):
    about = {"vocab_file": None, "bert_config_file": None}
    flags = finetune_flags(tmp_path / "out", init_checkpoint=finetuned, **about, **PROMPT)
    assert main(["finetune", *flags]) == 2
    assert "no masked-LM head, which --prompt answers with" in capsys.readouterr().err
    flags = finetune_flags(tmp_path / "out", init_checkpoint=finetuned, do_train=None, **about, **PROMPT)
    assert main(["finetune", *flags]) == 2
    assert "the model of lcqmc ends in a classifier. Leave --prompt out" in capsys.readouterr().err


def test_numbers_are_no_labels(tmp_path, capsys, start):
    for split in ("train", "dev"):
        (tmp_path / f"{split}.csv").write_text("text,score\n天,1\n地,2\n人,3\n", encoding="utf-8")
    flags = [
        *("--task_name=custom", "--regression", f"--train_file={tmp_path}/train.csv", "--do_train"),
        *(f"--dev_file={tmp_path}/dev.csv", f"--init_checkpoint={start['init_checkpoint']}"),
        *(f"--output_dir={tmp_path}/out", "--prompt", "--prompt_template={text_a}{mask}"),
    ]
    assert main(["finetune", *flags]) == 2
    assert "custom asks for no label of a whole text" in capsys.readouterr().err


def test_own_data_is_asked_by_its_labels_themselves(tmp_path, start):
    for split in ("train", "dev"):
        rows = "".join(
            f"{'天地' if n % 2 else '草木'}{'人和' * (n % 3)},{'山' if n % 2 else '水'}\n" for n in range(24)
        )
        (tmp_path / f"{split}.csv").write_text("text,label\n" + rows, encoding="utf-8")
    flags = [
        *("--task_name=custom", f"--train_file={tmp_path}/train.csv", f"--dev_file={tmp_path}/dev.csv", "--do_train"),
        *("--do_eval", f"--init_checkpoint={start['init_checkpoint']}", "--train_batch_size=8", "--learning_rate=0.01"),
        *(f"--output_dir={tmp_path}/out", "--prompt", "--prompt_template=日{mask}月{text_a}", "--num_train_epochs=8"),
        "--max_seq_length=24",
    ]
    assert main(["finetune", *flags]) == 0
    assert metrics(tmp_path / "out")["dev"]["accuracy"] == 1
    assert Classifier(tmp_path / "out").predict(["天地人和"])[0].label == "山"


def test_converted_to_hugging_face_it_keeps_its_masked_lm_head(trained, tmp_path):
    assert main(["convert", str(trained), str(tmp_path / "hf"), "--to=huggingface"]) == 0
    there = pretrained.load_pretrained(tmp_path / "hf", say=lambda _: None)
    assert isinstance(there, AlbertForPretraining)
    assert not isinstance(there, AlbertForClassification)
    assert any(name.startswith("cls/predictions/") for name in arrays_of(there))
