"""An ONNX file answers as the model does, at any batch and length; what is missing is named."""

import sys

import numpy as np
import pytest

from albert_zh.export import onnx
from albert_zh.export.network import network_of
from albert_zh.files import InputError

pytest.importorskip("tf2onnx")
pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """``written(opened)``: the folder of its ONNX file."""

    def write(opened):
        folder = tmp_path_factory.mktemp("onnx")
        onnx.write(opened, folder)
        return folder

    return write


@pytest.mark.parametrize(
    ("name", "options"),
    [("lcqmc", {"family": "brightmart"}), ("cluener", {"crf": True}), ("", {"family": "brightmart"})],
)
def test_it_answers_what_keras_answers_at_any_batch_and_length(name, options, finished, written, batch):
    opened = finished(name, **options)
    run, network = onnx.load(written(opened), threads=1), network_of(opened)
    for rows, length in ((1, 1), (3, 20), (8, 64)):
        inputs = batch(rows, length)
        answers, wanted = run(inputs), network(inputs)
        assert answers.keys() == wanted.keys()
        for output, value in wanted.items():
            np.testing.assert_allclose(answers[output], np.asarray(value), rtol=1e-4, atol=1e-4)


def test_a_cloze_finds_its_blanks(finished, written, batch, prompt):
    opened, inputs = finished("lcqmc", prompt=prompt, length=30), batch(4, 24)
    inputs["input_ids"][[0, 1, 2, 3], [3, 5, 1, 9]] = opened.tokenizer.mask_id
    wanted = np.asarray(network_of(opened)(inputs)["logits"])
    np.testing.assert_allclose(onnx.load(written(opened))(inputs)["logits"], wanted, rtol=1e-4, atol=1e-4)


def test_inputs_and_outputs_are_called_and_sized_as_documented(finished, written):
    import onnx as onnx_package

    opened = finished("cluener")
    model = onnx_package.load(written(opened) / onnx.FILE)
    onnx_package.checker.check_model(model, full_check=True)
    assert {each.version for each in model.opset_import if each.domain in ("", "ai.onnx")} == {onnx.OPSET}

    def told(value):
        kind = value.type.tensor_type
        return value.name, kind.elem_type, [each.dim_param or each.dim_value for each in kind.shape.dim]

    kinds = onnx_package.TensorProto
    assert sorted(map(told, model.graph.input)) == [
        (name, kinds.INT32, ["batch", "length"]) for name in ("input_ids", "input_mask", "segment_ids")
    ]
    assert list(map(told, model.graph.output)) == [
        ("logits", kinds.FLOAT, ["batch", "length", len(opened.task.labels)])
    ]


def test_a_package_that_is_missing_is_named_with_what_installs_it(finished, tmp_path, monkeypatch):
    for package, use in (
        ("tf2onnx", lambda: onnx.write(finished("lcqmc"), tmp_path)),
        ("onnxruntime", lambda: onnx.load(tmp_path)),
    ):
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(InputError, match=rf"needs the package {package}.* pip install -e '\.\[onnx\]'"):
            use()


def test_a_file_that_is_missing_or_damaged_is_named(tmp_path):
    with pytest.raises(InputError, match=r"model\.onnx: no such file"):
        onnx.load(tmp_path)
    (tmp_path / onnx.FILE).write_bytes(b"no model")
    with pytest.raises(InputError, match=r"model\.onnx: ONNX Runtime cannot read it"):
        onnx.load(tmp_path)
