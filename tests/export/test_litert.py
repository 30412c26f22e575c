"""A ``.tflite`` file answers as the model does, at any length, whatever its family and head."""

import shutil
import sys

import numpy as np
import pytest

from albert_zh.export import litert
from albert_zh.export.network import network_of
from albert_zh.export.options import ExportOptions
from albert_zh.files import InputError
from albert_zh.serve.network import INPUTS


def expected_of(opened, inputs):
    return {name: np.asarray(value) for name, value in network_of(opened)(inputs).items()}


def masked(value, inputs):
    """Outputs without those of padding."""
    return value[inputs["input_mask"].astype(bool)] if value.ndim == 3 else value


def cut(inputs, row, length=None):
    """One row of a batch, at a length, or without its padding."""
    length = length or int(inputs["input_mask"][row].sum())
    return {name: values[row : row + 1, :length] for name, values in inputs.items()}


# Out and in


@pytest.mark.parametrize(
    ("name", "crf", "outputs"), [("lcqmc", False, (2,)), ("squad2", False, (20, 2)), ("cluener", True, (20, 21))]
)
def test_the_logits_are_keras_ones_at_any_length(name, crf, outputs, finished, lite, batch):
    opened = finished(name, crf=crf)
    run = litert.load(lite(opened.source.folder))
    assert run(batch(3, 20))["logits"].shape == (3, *outputs)
    for rows, length in ((1, 1), (2, 9), (3, 20), (1, 64)):
        inputs = batch(rows, length)
        found, expected = run(inputs), expected_of(opened, inputs)
        assert list(found) == ["logits"]
        np.testing.assert_allclose(masked(found["logits"], inputs), masked(expected["logits"], inputs), atol=2e-5)


def test_a_cloze_answers_as_keras(finished, lite, batch, prompt):
    opened = finished("lcqmc", prompt=prompt)
    inputs = batch(3, 20)
    inputs["input_ids"][:, 4] = opened.tokenizer.mask_id
    found = litert.load(lite(opened.source.folder))(inputs)
    np.testing.assert_allclose(found["logits"], expected_of(opened, inputs)["logits"], atol=2e-5)


@pytest.fixture(scope="module")
def published(tmp_path_factory, golden):
    """``published(name)``: a published network's folder with a vocabulary of its size beside it."""
    folders = {}

    def make(name):
        if name not in folders:
            folders[name] = tmp_path_factory.mktemp("published") / name
            shutil.copytree(golden / name, folders[name])
            words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{number}" for number in range(206))]
            (folders[name] / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
        return folders[name]

    return make


@pytest.mark.parametrize("name", ["brightmart_preln", "google_2groups_2inner"])
def test_a_pretrained_file_gives_what_the_published_implementation_gave(name, published, lite, golden):
    expected = np.load(golden / name / "expected.npz")
    inputs = {key: expected[key] for key in INPUTS}
    found = litert.load(lite(published(name)))(inputs)
    assert sorted(found) == ["mlm_logits", "pooled_output", "sequence_output"]
    np.testing.assert_allclose(found["pooled_output"], expected["pooled_output"], atol=1e-5)
    np.testing.assert_allclose(
        masked(found["sequence_output"], inputs), masked(expected["sequence_output"], inputs), atol=2e-5
    )
    places = expected["masked_lm_positions"]
    logits = np.take_along_axis(found["mlm_logits"], places[:, :, None], axis=1)
    logs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    np.testing.assert_allclose(logs.reshape(-1, 211), expected["mlm_log_probs"], atol=2e-5)


def test_blanks_are_filled_by_a_signature_of_its_own(published, lite, golden):
    expected = np.load(golden / "google_2groups_2inner" / "expected.npz")
    found = litert.open_file(lite(published("google_2groups_2inner")) / litert.FILE)
    signatures = found.get_signature_list()
    assert sorted(signatures) == ["fill_mask", "serving_default"]
    assert sorted(signatures["serving_default"]["inputs"]) == sorted(INPUTS)
    assert sorted(signatures["serving_default"]["outputs"]) == ["pooled_output", "sequence_output"]
    assert sorted(signatures["fill_mask"]["inputs"]) == sorted([*INPUTS, "masked_lm_positions"])
    fill = found.get_signature_runner("fill_mask")
    row = {key: expected[key][:1] for key in (*INPUTS, "masked_lm_positions")}
    logits = fill(**row)["mlm_logits"]
    logs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    np.testing.assert_allclose(logs[0], expected["mlm_log_probs"][:5], atol=2e-5)


# Length


def test_padding_changes_nothing(finished, lite, batch):
    run, inputs = litert.load(lite(finished("lcqmc").source.folder)), batch(3, 20)
    for row in range(3):
        found = run(cut(inputs, row))["logits"]
        np.testing.assert_allclose(found, run(cut(inputs, row, 20))["logits"], atol=2e-5)


def test_a_file_of_one_length_answers_shorter_sequences_as_that_of_any_length_does(finished, lite, batch):
    folder = finished("cluener", crf=True).source.folder
    fixed, dynamic = litert.load(lite(folder, max_seq_length="22")), litert.load(lite(folder))
    answer = litert.open_file(lite(folder, max_seq_length="22") / litert.FILE).get_signature_runner("serving_default")
    assert {name: list(detail["shape_signature"]) for name, detail in answer.get_input_details().items()} == {
        key: [1, 22] for key in INPUTS
    }
    for length in (1, 13, 22):
        inputs = batch(2, length)
        found = fixed(inputs)["logits"]
        assert found.shape == (2, length, 21)
        np.testing.assert_allclose(masked(found, inputs), masked(dynamic(inputs)["logits"], inputs), atol=2e-5)


def test_a_file_of_one_length_scores_every_place_of_a_sequence_though_asked_for_few_at_once(finished, lite, batch):
    opened, inputs = finished(""), batch(2, litert.PREDICTIONS + 3)
    found = litert.load(lite(opened.source.folder, max_seq_length="30"))(inputs)
    for name, expected in expected_of(opened, inputs).items():
        assert found[name].shape == expected.shape
        np.testing.assert_allclose(masked(found[name], inputs), masked(expected, inputs), atol=2e-5)


def test_a_length_that_the_model_has_not_is_refused(finished, tmp_path):
    opened = finished("lcqmc")
    options = ExportOptions(model=str(opened.source.folder), output_dir="", to="litert", max_seq_length="65")
    with pytest.raises(InputError, match=r"--max_seq_length=65: the model has 64 positions\. Give less\."):
        litert.write(opened, tmp_path, options)
    assert not list(tmp_path.iterdir())


# Quantized


@pytest.mark.parametrize(("quantize", "most"), [("dynamic", 0.2), ("float16", 0.01)])
def test_smaller_weights_make_a_smaller_file_that_answers_nearly_the_same(quantize, most, finished, lite, batch):
    opened, inputs = finished("lcqmc"), batch(3, 20)
    folders = [lite(opened.source.folder), lite(opened.source.folder, quantize=quantize)]
    small = [(folder / litert.FILE).stat().st_size for folder in folders]
    assert small[1] < small[0]
    exact, found = (litert.load(folder)(inputs)["logits"] for folder in folders)
    assert 0 < np.abs(found - exact).max() <= most * np.abs(exact).max()


# What goes wrong


def test_without_the_runtime_the_error_says_how_to_install_it(finished, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    opened = finished("lcqmc")
    options = ExportOptions(model=str(opened.source.folder), output_dir="", to="litert")
    with pytest.raises(InputError, match=r"pip install -e '\.\[litert\]'"):
        litert.write(opened, tmp_path, options)
    assert not list(tmp_path.iterdir())


def test_a_converter_that_gives_up_is_an_error_in_one_line_and_leaves_no_file(finished, tmp_path, monkeypatch):
    class Converter:
        def convert(self):
            raise RuntimeError("a pass failed\n" * 9)

    monkeypatch.setattr(litert.tf.saved_model, "save", lambda *_, **__: None)
    monkeypatch.setattr(litert.tf.lite.TFLiteConverter, "from_saved_model", lambda *_, **__: Converter())
    options = ExportOptions(model=str(finished("lcqmc").source.folder), output_dir="", to="litert", quantize="int8")
    with pytest.raises(InputError, match=r"gave up with --quantize=int8 \(a pass failed\)\. Try another --quantize"):
        litert.convert(options, str(tmp_path / litert.FILE))
    assert not list(tmp_path.iterdir())
