"""Heads for passages and entities: written here and run by transformers, written there and run here."""

import numpy as np
import pytest
import torch
import transformers

from albert_zh import load_pretrained, save_pretrained
from albert_zh.models.by_head import model_for

THEIRS = {
    "span": (transformers.AutoModelForQuestionAnswering, transformers.AlbertForQuestionAnswering),
    "tagging": (transformers.AutoModelForTokenClassification, transformers.AlbertForTokenClassification),
}


def batch(length=24):
    dice = np.random.default_rng(0)
    names = ("input_ids", "input_mask", "segment_ids")
    arrays = dice.integers(5, 40, (3, length)), np.ones((3, length), int), np.tile(np.arange(length) > 9, (3, 1))
    return dict(zip(names, (array.astype(np.int32) for array in arrays), strict=True))


def logits_there(model, arrays):
    given = (torch.tensor(arrays[name].astype(np.int64)) for name in arrays)
    with torch.no_grad():
        out = model.eval()(**dict(zip(("input_ids", "attention_mask", "token_type_ids"), given, strict=True)))
    if "start_logits" in out:
        return np.stack([out.start_logits.numpy(), out.end_logits.numpy()], axis=-1)
    return out.logits.numpy()


@pytest.mark.parametrize("kind", THEIRS)
def test_there_it_answers_what_it_answers_here(kind, tiny_config, tmp_path):
    model = model_for(tiny_config(family="google", initializer_range=0.3), kind, 2 if kind == "span" else 5)
    save_pretrained(model, tmp_path / "out", layout="huggingface")
    auto, wanted = THEIRS[kind]
    theirs, report = auto.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert isinstance(theirs, wanted)
    assert not report["missing_keys"]
    np.testing.assert_allclose(logits_there(theirs, batch()), np.asarray(model(batch())["logits"]), atol=1e-5)


@pytest.mark.parametrize("kind", THEIRS)
def test_here_it_answers_what_it_answers_there(kind, tmp_path):
    torch.manual_seed(1)
    sizes = {"vocab_size": 40, "embedding_size": 8, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
    config = transformers.AlbertConfig(
        **sizes, num_attention_heads=2, num_labels=2 if kind == "span" else 5, initializer_range=0.3
    )
    theirs = THEIRS[kind][1](config)
    theirs.save_pretrained(tmp_path / "theirs")
    ours = load_pretrained(tmp_path / "theirs", say=lambda _: None)
    assert type(ours).__name__ == {"span": "AlbertForSpan", "tagging": "AlbertForTagging"}[kind]
    np.testing.assert_allclose(np.asarray(ours(batch())["logits"]), logits_there(theirs, batch()), atol=1e-5)
