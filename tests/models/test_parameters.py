"""The arithmetic of parameters: equal to the networks that keras builds, and to what was published."""

import math
from pathlib import Path

import keras
import pytest

from albert_zh.config import AlbertConfig
from albert_zh.models import parameters
from albert_zh.models.encoder import AlbertEncoder, Initializers
from albert_zh.models.heads import AlbertForPretraining

SHIPPED = Path(__file__).parents[2] / "albert_config"
CONFIGS = sorted(SHIPPED.glob("albert_config_*.json"))

#: Encoder and pooler, millions to two decimals, as the publishers state them.
MILLIONS = {
    "tiny": 4.18,
    "base": 10.88,
    "large": 17.01,
    "xlarge": 58.58,
    "xxlarge": 223.50,
    "tiny_google": 4.08,
    "small_google": 4.74,
    "base_google": 10.55,
    "large_google": 16.55,
    "xlarge_google": 57.59,
    "xxlarge_google": 221.46,
}
#: Encoder and pooler of the English models, as Keras Hub counts its ports of them.
ENGLISH = {"base": 11_683_584, "large": 17_683_968, "xlarge": 58_724_864, "xxlarge": 222_595_584}


def shipped(name):
    return AlbertConfig.from_json(SHIPPED / f"albert_config_{name}.json")


@pytest.fixture
def asked_for(monkeypatch):
    """``asked_for(build)``: how many numbers keras is asked for while ``build`` runs; one is kept of each weight.

    So the largest networks are built, by the code that builds them for use, in no memory.
    """
    real = keras.layers.Layer.add_weight
    sizes = []

    def add_weight(self, shape=None, *args, **kwargs):
        sizes.append(math.prod(shape))
        return real(self, (1,) * len(shape), *args, **kwargs)

    def count(build):
        with monkeypatch.context() as patched:
            patched.setattr(keras.layers.Layer, "add_weight", add_weight)
            sizes.clear()
            build()
        return sum(sizes)

    return count


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_each_shipped_config_has_as_many_parameters_as_the_network_built_from_it(path, asked_for):
    config = AlbertConfig.from_json(path)
    assert parameters.pretraining(config) == asked_for(lambda: AlbertForPretraining(config))
    assert parameters.encoder(config) == asked_for(lambda: AlbertEncoder(config, Initializers(config, 0)).build())


@pytest.mark.parametrize(
    "changes",
    [
        {"family": "brightmart"},
        {"family": "google"},
        {"family": "google", "num_hidden_groups": 2, "inner_group_num": 3},
        {"family": "brightmart", "type_vocab_size": 3, "max_position_embeddings": 50, "embedding_size": 5},
        {"family": "google", "type_vocab_size": 3, "max_position_embeddings": 50, "embedding_size": 5},
        {"family": "google", "embedding_size": 16},
    ],
    ids=str,
)
def test_every_size_counts(changes, tiny_config):
    config = tiny_config(**changes)
    model = AlbertForPretraining(config)
    assert parameters.pretraining(config) == model.count_params()
    assert parameters.encoder(config) == model.encoder.count_params()
    embeddings = model.encoder.embeddings.count_params()
    if model.encoder.projection is not None:
        embeddings += model.encoder.projection.count_params()
    assert parameters.embeddings(config) == embeddings
    assert parameters.layer(config) == sum(block.count_params() for block in model.encoder.groups[0])
    assert parameters.layers(config) == sum(block.count_params() for group in model.encoder.groups for block in group)
    assert parameters.pooler(config) == model.encoder.pooler.count_params()
    assert parameters.masked_lm_head(config) == model.masked_lm.count_params()
    assert parameters.sentence_order_head(config) == model.sentence_order.count_params()


@pytest.mark.parametrize("name", MILLIONS)
def test_encoder_and_pooler_have_the_published_number_of_parameters(name):
    assert round(parameters.encoder(shipped(name)) / 1e6, 2) == MILLIONS[name]


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("size", ENGLISH)
def test_the_english_models_have_the_published_number_of_parameters(size, version):
    assert parameters.encoder(shipped(f"{size}_{version}")) == ENGLISH[size]


def test_without_sharing_each_layer_has_weights_of_its_own():
    config = shipped("base").replace(hidden_size=1024, num_attention_heads=16)
    assert parameters.layers(config) == 10_498_048
    assert parameters.layers(config, shared=False) == 125_976_576 == 12 * 10_498_048
    groups = shipped("base_google").replace(num_hidden_groups=3)
    assert parameters.layers(groups) * 4 == parameters.layers(groups, shared=False)


def test_without_both_changes_base_is_bert_base_chinese():
    assert parameters.bert_encoder(shipped("base")) == 102_267_648
    assert parameters.bert_encoder(shipped("base_google")) == 102_267_648
