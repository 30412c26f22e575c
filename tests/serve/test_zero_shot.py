"""Labels without training: the scores are those of the masked-LM head by hand, words of any length side by side."""

import json

import numpy as np
import pytest

import albert_zh
from albert_zh import pretrained
from albert_zh.cli import main
from albert_zh.config import AlbertConfig
from albert_zh.files import InputError
from albert_zh.layouts import save_pretrained
from albert_zh.models.heads import AlbertForPretraining, AlbertModel
from albert_zh.serve.zero_shot import ZeroShot, zero_shot
from albert_zh.text.tokenizer import load_tokenizer

TEMPLATE = "日{mask}月{text_a}"


@pytest.fixture(scope="module")
def pretrained_folder(toy, tmp_path_factory):
    """A pretraining model with random weights, whose vocabulary holds a full stop."""
    folder = tmp_path_factory.mktemp("pretrained")
    vocabulary = folder / "vocab.txt"
    words = (toy / "vocab.txt").read_text(encoding="utf-8").split()
    vocabulary.write_text("\n".join([*words, "。"]) + "\n", encoding="utf-8")
    config = AlbertConfig.from_json(toy / "albert_config.json").replace(vocab_size=len(words) + 1)
    save_pretrained(AlbertForPretraining(config, seed=4), folder / "model", vocabulary=vocabulary)
    return folder / "model"


def scores_by_hand(folder, labels, text):
    """Mean log-probability of each label's characters in as many blanks, one sequence after the other."""
    tokenizer = load_tokenizer(vocab_file=folder / "vocab.txt")
    model = pretrained.load_pretrained(folder, say=lambda _: None)
    scores = []
    for label in labels:
        ids = [tokenizer.cls_id, *tokenizer.encode("日").ids, *[tokenizer.mask_id] * len(label)]
        ids += [*tokenizer.encode("月").ids, *tokenizer.encode(text).ids, tokenizer.sep_id]
        ids = np.array([ids], np.int32)
        inputs = {"input_ids": ids, "input_mask": np.ones_like(ids), "segment_ids": np.zeros_like(ids)}
        positions = np.arange(2, 2 + len(label), dtype=np.int32)[None]
        logits = np.asarray(model(inputs | {"masked_lm_positions": positions})["mlm_logits"], np.float64)[0]
        logs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
        scores.append(np.mean([row[number] for row, number in zip(logs, tokenizer.encode(label).ids, strict=True)]))
    return np.array(scores)


def test_the_answer_is_what_a_text_adds_to_the_likelihood_of_every_word(pretrained_folder):
    labels, texts = ["天地", "木", "风云日", "水"], ["山水风云" * 3, "花", "东西南北上下"]
    answers = zero_shot(pretrained_folder, labels, texts, template=TEMPLATE)
    nothing = scores_by_hand(pretrained_folder, labels, "。")
    for text, answer in zip(texts, answers, strict=True):
        gained = scores_by_hand(pretrained_folder, labels, text) - nothing
        shares = np.exp(gained) / np.exp(gained).sum()
        np.testing.assert_allclose(answer.probabilities, shares, atol=1e-5)
        assert answer.label == labels[int(shares.argmax())]


def test_an_answer_does_not_depend_on_the_texts_and_the_batch_it_is_with(pretrained_folder):
    model = ZeroShot(pretrained_folder, ["天地", "木", "水"], TEMPLATE)
    texts = ["山水" * count for count in (1, 9, 3, 30, 2)]  # the fourth is cut
    together = [answer.probabilities for answer in model.predict(texts, batch_size=2)]
    alone = [model.predict([text])[0].probabilities for text in texts]
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert model.predict([]) == []


def test_a_mapping_gives_labels_words_of_their_own(pretrained_folder):
    by_name = zero_shot(pretrained_folder, {"a": "天地", "b": "木"}, ["山水"], template=TEMPLATE)[0]
    by_word = zero_shot(pretrained_folder, ["天地", "木"], ["山水"], template=TEMPLATE)[0]
    assert by_name.probabilities == by_word.probabilities
    assert (by_name.label, by_word.label) in {("a", "天地"), ("b", "木")}


def test_it_is_a_public_name():
    assert albert_zh.zero_shot is zero_shot


@pytest.mark.parametrize(
    ("labels", "texts", "message"),
    [
        ("天地", ["山"], "labels: one text, '天地', where a list is needed"),
        (["天", "地"], "山水", "texts: one text, '山水', where a list is needed"),
        (["天"], ["山"], "two or more different ones"),
        (["天", "天"], ["山"], "two or more different ones"),
        (["天", "猫"], ["山"], "the label word '猫' is not in the vocabulary"),
        (["天", "地"], ["山", " "], "text 2: ' ' where some text is needed"),
        (["天", "地"], [None], "text 1: None where some text is needed"),
    ],
)
def test_what_cannot_be_answered_is_told(pretrained_folder, labels, texts, message):
    with pytest.raises(InputError, match=message):
        zero_shot(pretrained_folder, labels, texts, template=TEMPLATE)


def test_a_template_without_its_slots_and_a_model_without_the_head_are_refused(pretrained_folder, tmp_path):
    with pytest.raises(InputError, match=r"must hold \{mask\}, \{text_a\}, each once"):
        zero_shot(pretrained_folder, ["天", "地"], ["山"], template="日{text_a}")
    source = pretrained.find(pretrained_folder)
    save_pretrained(AlbertModel(source.config), tmp_path / "bare", vocabulary=pretrained_folder / "vocab.txt")
    with pytest.raises(InputError, match="no masked-LM head, which fills the blank"):
        zero_shot(tmp_path / "bare", ["天", "地"], ["山"])


def test_the_command_answers_a_task_untrained_as_the_function_does(pretrained_folder, tmp_path, toy, capsys):
    single = tmp_path / "rows"
    single.mkdir()
    for split in ("train", "dev", "test"):
        lines = [f"{number % 2}\t{'天地人和'[: 1 + number % 4]}" for number in range(10)]
        (single / f"{split}.tsv").write_text("label\ttext_a\n" + "\n".join(lines) + "\n", encoding="utf-8")
    words = [
        *("--task_name=chnsenticorp", f"--data_dir={single}", f"--init_checkpoint={pretrained_folder}", "--prompt"),
        *(f"--prompt_template={TEMPLATE}", "--prompt_words=0=山,1=水", "--do_eval", "--do_predict"),
        *(f"--output_dir={tmp_path / 'out'}", "--max_seq_length=24"),
    ]
    assert main(["finetune", *words]) == 0
    lines = (tmp_path / "out" / "test_predictions.tsv").read_text(encoding="utf-8").splitlines()[1:]
    written = [[float(share) for share in line.split("\t")[-2:]] for line in lines]
    texts = [line.split("\t")[1] for line in lines]
    answers = zero_shot(pretrained_folder, {"0": "山", "1": "水"}, texts, template=TEMPLATE)
    np.testing.assert_allclose(written, [answer.probabilities for answer in answers], atol=2e-6)
    # Nothing was trained: no model is left, and the same again is no conflict.
    assert not (tmp_path / "out" / "task.json").exists()
    assert json.loads((tmp_path / "out" / "metrics.json").read_text(encoding="utf-8"))["dev"]["rows"] == 10
    assert main(["finetune", *words]) == 0
