"""Models that answer for every token: padding changes nothing, and they survive every layout that can hold them."""

import json

import keras
import numpy as np
import pytest

from albert_zh import layouts, pretrained
from albert_zh.cli import main
from albert_zh.convert.weights import arrays_of
from albert_zh.files import InputError
from albert_zh.layouts import Companions
from albert_zh.models.by_head import model_for
from albert_zh.models.token_heads import PADDING_SCORE, AlbertForSpan, AlbertForTagging

KINDS = {"span": 2, "tagging": 5, "crf": 5}


@pytest.fixture(scope="module")
def models(small_config):
    made = {}
    for kind, outputs in KINDS.items():
        made[kind] = model = model_for(small_config, kind, outputs, seed=3)
        dice = np.random.default_rng(1)
        for variable in model.trainable_variables:
            variable.assign(np.asarray(variable) + dice.normal(0, 0.1, variable.shape))
    return made


@pytest.fixture(scope="module")
def small_config():
    from albert_zh.config import AlbertConfig

    return AlbertConfig.from_json("albert_config/albert_config_nano_google.json").replace(
        vocab_size=40, hidden_size=16, embedding_size=8, num_attention_heads=2, intermediate_size=24
    )


def batch(length=9, padding=0):
    dice = np.random.default_rng(0)
    ids = dice.integers(5, 40, (2, length), dtype=np.int32)
    fill = np.zeros((2, padding), np.int32)
    ones = np.ones_like(ids)
    segments = np.tile((np.arange(length) > 4).astype(np.int32), (2, 1))
    return {
        "input_ids": np.concatenate([ids, fill], axis=1),
        "input_mask": np.concatenate([ones, fill], axis=1),
        "segment_ids": np.concatenate([segments, fill], axis=1),
    }


@pytest.mark.parametrize("kind", KINDS)
def test_padding_changes_no_score_of_a_token(models, kind):
    alone, padded = (np.asarray(models[kind](batch(padding=more))["logits"]) for more in (0, 7))
    assert alone.shape == (2, 9, KINDS[kind])
    np.testing.assert_allclose(padded[:, :9], alone, atol=1e-5)
    if kind == "span":
        assert (padded[:, 9:] < PADDING_SCORE / 2).all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_heads_alone_are_the_same(models, kind):
    whole, alone = models[kind](batch()), models[kind](batch(), heads_only=True)
    assert set(whole) - set(alone) == {"sequence_output"}
    np.testing.assert_array_equal(np.asarray(whole["logits"]), np.asarray(alone["logits"]))
    assert {"transitions", "first", "last"} <= set(whole) or kind != "crf"


HOLDING = [*((kind, layout) for kind in KINDS for layout in ("tf1", "keras"))]
HOLDING += [("span", "huggingface"), ("tagging", "huggingface")]


@pytest.mark.parametrize(("kind", "layout"), HOLDING)
def test_a_layout_holds_all_of_it(models, kind, layout, tmp_path):
    names = tuple(f"tag{n}" for n in range(5)) if kind != "span" else ()
    layouts.save_pretrained(models[kind], tmp_path / "model", layout=layout, label_names=names)
    again = pretrained.load_pretrained(tmp_path / "model", say=lambda _: None)
    assert type(again) is type(models[kind])
    mine, its = arrays_of(models[kind]), arrays_of(again)
    assert mine.keys() == its.keys()
    assert all(np.array_equal(mine[name], its[name]) for name in mine)
    np.testing.assert_allclose(np.asarray(again(batch())["logits"]), np.asarray(models[kind](batch())["logits"]))
    if layout == "huggingface":
        about = json.loads((tmp_path / "model" / "config.json").read_text(encoding="utf-8"))
        wanted = {"span": "AlbertForQuestionAnswering", "tagging": "AlbertForTokenClassification"}[kind]
        assert about["architectures"] == [wanted]


@pytest.mark.parametrize(
    ("kind", "layout", "head"),
    [("span", "tf2", "span head"), ("tagging", "savedmodel", "tagging head"), ("crf", "huggingface", "CRF")],
)
def test_a_layout_without_a_place_for_it_says_so_and_leaves_nothing(models, kind, layout, head, tmp_path, capsys):
    with pytest.raises(InputError, match=f"the layout {layout} cannot hold the {head}"):
        layouts.save_pretrained(models[kind], tmp_path / "model", layout=layout)
    assert not (tmp_path / "model").exists()
    (tmp_path / "source").mkdir()
    layouts.write_model(models[kind], tmp_path / "source", Companions())
    assert main(["convert", str(tmp_path / "source"), str(tmp_path / "out"), f"--to={layout}"]) == 2
    assert f"cannot hold the {head}" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["span", "tagging"])
def test_the_convert_command_compares_the_answers(models, kind, tmp_path, capsys):
    (tmp_path / "source").mkdir()
    layouts.write_model(models[kind], tmp_path / "source", Companions())
    assert main(["convert", str(tmp_path / "source"), str(tmp_path / "out"), "--to=huggingface"]) == 0
    assert "largest difference" in capsys.readouterr().out


def test_keras_reads_the_models_from_their_own_files(models, tmp_path):
    for kind, model in models.items():
        model.save(tmp_path / f"{kind}.keras")
        again = keras.saving.load_model(tmp_path / f"{kind}.keras", compile=False)
        assert isinstance(again, AlbertForSpan if kind == "span" else AlbertForTagging)
        np.testing.assert_allclose(
            np.asarray(again(batch())["logits"]), np.asarray(model(batch())["logits"]), atol=1e-6
        )
