"""What a model card says, and what it must not."""

import importlib
import json
import re
import shutil

import numpy as np
import pytest

from albert_zh.export import card
from albert_zh.export.agreement import Agreement
from albert_zh.export.card import write
from albert_zh.export.options import ExportOptions
from albert_zh.opened import open_model


def options(to="litert", **changes):
    return ExportOptions("model", "export", to, **changes)


AGREEMENT = Agreement(
    rows=40, difference=2e-3, limit=5e-2, same=39, of="dev rows of lcqmc", notes=("One row differs.",)
)


@pytest.fixture(scope="module")
def opened(finetuned):
    return open_model(finetuned)


@pytest.fixture
def export(tmp_path):
    """A folder of an export, without its card."""
    folder = tmp_path / "export"
    folder.mkdir()
    (folder / "model.tflite").write_bytes(b"12345")
    (folder / "vocab.txt").write_text("[PAD]\n", encoding="utf-8")
    return folder


def changed(finetuned, tmp_path, **changes):
    """A copy of the fine-tuned model whose metrics.json says something else."""
    folder = shutil.copytree(finetuned, tmp_path / "model")
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    for name, value in changes.items():
        metrics[name] = metrics.get(name, {}) | value if isinstance(value, dict) else value
    (folder / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
    return open_model(folder)


def test_the_card_holds_what_the_fine_tuned_folder_recorded(opened, finetuned, export):
    text = write(opened, export, options(quantize="dynamic"), AGREEMENT).read_text(encoding="utf-8")
    metrics = json.loads((finetuned / "metrics.json").read_text(encoding="utf-8"))
    for digest in (metrics["settings"]["train_sha256"], *metrics["scored"].values()):
        assert f"`{digest}`" in text
    table = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith(("| dev ", "| test "))]
    assert [cells[0] for cells in table] == ["dev", "test"]
    for cells in table:
        held, rules = metrics[cells[0]], metrics["baselines"][cells[0]]
        assert cells[1:4] == [
            str(int(held["rows"])),
            f"{held['accuracy']:.2%}",
            f"{held['accuracy_low']:.2%} to {held['accuracy_high']:.2%}",
        ]
        assert cells[-len(rules) :] == [f"{value:.2%}" for value in rules.values()]
    settings = metrics["settings"]
    assert f"learning rate (peak): {settings['learning_rate']}\n" in text
    assert f"rows a step: {settings['train_batch_size']}\n" in text
    assert f"seed: {settings['random_seed']}\n" in text
    assert "0 = different, 1 = same" in text
    assert "began from: random weights" in text


def test_the_agreement_and_every_file_with_its_size_are_told(opened, export):
    text = write(opened, export, options(quantize="dynamic"), AGREEMENT).read_text(encoding="utf-8")
    assert "On 40 dev rows of lcqmc the outputs differ by 0.002 at most (allowed: 0.05)" in text
    assert "the same answer on 39 of 40" in text
    assert "One row differs." in text
    assert "| `model.tflite` | 5 |" in text
    assert "| `vocab.txt` | 6 |" in text
    assert "litert, weights dynamic" in text
    assert "Not compared." in write(opened, export, options(quantize="dynamic"), None).read_text(encoding="utf-8")


def test_the_head_is_what_the_hub_reads(opened, export):
    text = write(opened, export, options(quantize="dynamic"), AGREEMENT).read_text(encoding="utf-8")
    begin, head, body = text.split("---\n", 2)
    assert begin == ""
    assert body.lstrip().startswith("# ALBERT")
    lines = head.splitlines()
    assert lines[0] == "language: zh"
    assert "pipeline_tag: text-classification" in lines
    assert "- accuracy" in lines
    assert not any(line.startswith("license") for line in lines)  # of data for research, weights of nobody's
    # Strings that a user chose are quoted; what is left has the characters of plain YAML alone.
    assert all(re.fullmatch(r'[- ]*[\w-]+(: ("[^"\\]*"|[\w.-]+))?|[- ]*[\w-]+:', line) for line in lines)


def test_no_path_of_the_machine_and_no_row_of_the_data_is_in_it(finetuned, toy, export, tmp_path):
    start = "/home/somebody/secret/albert_model.ckpt"
    opened = changed(finetuned, tmp_path, settings={"init_checkpoint": start, "init_sha256": "ab12"})
    text = write(opened, export, options(quantize="dynamic"), AGREEMENT).read_text(encoding="utf-8")
    assert "began from: `albert_model.ckpt`, SHA-256 `ab12`" in text
    assert "somebody" not in text
    assert str(tmp_path) not in text
    assert str(finetuned) not in text
    assert str(toy) not in text
    rows = (toy / "pairs" / "dev.txt").read_text(encoding="utf-8").splitlines()
    assert not [row for row in rows for part in row.split("\t")[:2] if len(part) > 2 and part in text]


@pytest.mark.parametrize(
    ("accuracy", "low", "verdict"),
    [(0.50, 0.40, "at or below"), (0.60, 0.51, "at or below"), (0.65, 0.55, "not clearly above"), (0.9, 0.8, "")],
)
def test_a_score_that_a_rule_reaches_is_said_first(accuracy, low, verdict, finetuned, export, tmp_path):
    opened = changed(
        finetuned,
        tmp_path,
        dev={"accuracy": accuracy, "accuracy_low": low},
        baselines={"dev": {"majority class": 0.55, "character overlap": 0.60}},
    )
    text = write(opened, export, options(quantize="dynamic"), AGREEMENT).read_text(encoding="utf-8")
    first = text.split("---\n", 2)[2].split("中文摘要")[0]
    assert (f"**This model is {verdict} a rule without a model**: dev accuracy {accuracy:.2%}" in first) == bool(
        verdict
    )
    assert ("请勿当作可用的模型" in first) == bool(verdict)


@pytest.mark.parametrize(
    ("start", "said"),
    [
        ("albert_base_zh_google", "(`albert_base_zh_google`): Apache-2.0 (stated for the publishing repository)"),
        (
            "/data/albert_tiny_zh/albert_model.ckpt",
            "(`albert_tiny_zh`): none stated (by the publisher, for the weights)",
        ),
        ("/data/mine/albert_model.ckpt", "began from: unknown"),
    ],
)
def test_the_licence_is_the_catalogue_s_or_said_to_be_unknown(start, said, finetuned, export, tmp_path):
    opened = changed(finetuned, tmp_path, settings={"init_checkpoint": start})
    text = write(opened, export, options(quantize="dynamic"), AGREEMENT).read_text(encoding="utf-8")
    assert f"- pretrained weights it {said}\n".replace("it (", "it began from (") in text
    assert "- data of lcqmc: for research, on application to its authors\n" in text
    assert "license:" not in text


def test_a_pretrained_model_has_a_card_without_scores_and_then_with_those_of_pretraining(golden, toy, export, tmp_path):
    folder = shutil.copytree(golden / "google_1group", tmp_path / "albert_base_zh_google")
    shutil.copy(toy / "vocab.txt", folder / "vocab.txt")
    text = write(open_model(folder), export, options(quantize="dynamic"), AGREEMENT).read_text(encoding="utf-8")
    assert "license: apache-2.0" in text
    assert "None is known: no scores lie beside the weights." in text
    assert "It answers no task before it is fine-tuned." in text
    assert "metrics:" not in text
    scores = {"mlm_accuracy": 0.384163, "sop_accuracy": 0.895833}
    (folder / "eval_results.json").write_text(json.dumps(scores), encoding="utf-8")
    run = {"kind": "pretraining", "input_file": ["/tmp/secret/train.tfrecord"], "learning_rate": 4e-4, "random_seed": 7}
    (folder / "run.json").write_text(json.dumps(run), encoding="utf-8")
    text = write(open_model(folder), export, options(quantize="dynamic"), None).read_text(encoding="utf-8")
    assert "- mlm_accuracy: 0.3842\n- sop_accuracy: 0.8958\n" in text
    assert "- pretraining records: `train.tfrecord`\n" in text
    assert "- learning rate (peak): 0.0004\n" in text
    assert "secret" not in text


@pytest.mark.parametrize("target", ["savedmodel", "onnx"])
def test_the_lines_of_code_run_the_file_and_answer_as_the_model(target, opened, toy, tmp_path, monkeypatch):
    pytest.importorskip({"savedmodel": "tensorflow", "onnx": "tf2onnx"}[target])
    importlib.import_module(f"albert_zh.export.{target}").write(opened, tmp_path)
    text = write(opened, tmp_path, options(target), None).read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(code.splitlines()) == 3
    features = opened.task.featurize(opened.task.read("dev", toy / "pairs")[:1], opened.tokenizer, 24)
    ids, segments = (np.array([held[0]], np.int32) for held in (features.input_ids, features.segment_ids))
    given = {"ids": ids, "mask": np.ones_like(ids), "segments": segments}
    monkeypatch.chdir(tmp_path)
    exec(code, given)
    outputs = given["outputs"]
    found = np.asarray(outputs["logits"] if target == "savedmodel" else outputs[0])
    inputs = {"input_ids": ids, "input_mask": given["mask"], "segment_ids": segments}
    np.testing.assert_allclose(found, np.asarray(opened.model(inputs, heads_only=True)["logits"]), atol=1e-5)


def test_a_hugging_face_folder_is_opened_by_the_class_its_config_names(opened, export):
    (export / "model.safetensors").write_bytes(b"")
    (export / "config.json").write_text('{"architectures": ["AlbertForQuestionAnswering"]}', encoding="utf-8")
    assert 'AlbertForQuestionAnswering.from_pretrained(".")' in card._use_part(opened, export)


def test_a_longer_text_is_cut_only_where_it_is(opened):
    assert "the longer text first" in card._about(opened, options(quantize="dynamic"))
    assert "at most 24 tokens" in card._about(opened, options(quantize="dynamic"))
    assert "at most 16 tokens" in card._about(opened, options(max_seq_length="16"))
