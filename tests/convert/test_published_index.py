"""The published albert_tiny_zh as far as its index and its graph tell: this project's own network has its very names.

The files are made here: nothing published is kept in the project. What they hold against was read off the published
ones: 31 arrays of 17,180,744 bytes, and in the graph a Reshape to [1, 128, 12, 26] for each of the four layers.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow.core.protobuf import meta_graph_pb2

from albert_zh.config import AlbertConfig
from albert_zh.convert.tensorflow1 import save_weights
from albert_zh.convert.weights import variable_names
from albert_zh.files import InputError
from albert_zh.models.heads import AlbertForPretraining
from albert_zh.pretrained import find, load_pretrained

JSON = Path(__file__).parents[2] / "albert_config" / "albert_config_tiny.json"
DATA = "albert_model.ckpt.data-00000-of-00001"
FOUR = {"dim": [{"size": 4}]}
#: A few of the published index.
BLOCK = "bert/encoder/layer_shared/"
SHAPES = {
    "bert/embeddings/word_embeddings": (21128, 128),
    "bert/embeddings/word_embeddings_2": (128, 312),
    "bert/embeddings/position_embeddings": (512, 312),
    "bert/embeddings/token_type_embeddings": (2, 312),
    BLOCK + "attention/output/LayerNorm/gamma": (312,),
    BLOCK + "intermediate/dense/kernel": (312, 1248),
    BLOCK + "output/dense/kernel": (1248, 312),
    "cls/predictions/transform/dense/kernel": (312, 312),
    "cls/predictions/output_bias": (21128,),
    "cls/seq_relationship/output_weights": (2, 312),
}


def write_graph(path, layers=4, heads=12, size=26, name="layer_shared", damage=None):
    """A graph as TF1 wrote it beside the weights, of which only the splitting of the heads is here."""
    graph = meta_graph_pb2.MetaGraphDef()

    def constant(name, value):
        tensor = graph.graph_def.node.add(name=name, op="Const").attr["value"].tensor
        tensor.CopyFrom(tf.make_tensor_proto(np.array(value, np.int32)))
        if damage is not None:
            tensor.CopyFrom(damage)

    for layer in range(layers):
        scope = f"bert/encoder/{name}{f'_{layer}' if layer else ''}/attention/self"
        for reshape in ("Reshape", "Reshape_1", "Reshape_2"):  # query, key, value
            constant(f"{scope}/{reshape}/shape", [1, 128, heads, size])
        constant(f"{scope}/Reshape_3/shape", [128, heads * size])
    constant("bert/encoder/Reshape/shape", [-1, heads * size])
    path.write_bytes(graph.SerializeToString())


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """The folder of albert_tiny_zh without its weights; and one network of its size."""
    folder = tmp_path_factory.mktemp("albert_tiny_zh")
    model = AlbertForPretraining(AlbertConfig.from_json(JSON))
    save_weights(model, folder / "albert_model.ckpt")
    (folder / DATA).unlink()
    write_graph(folder / "albert_model.ckpt.meta")
    (folder / "albert_config_tiny.json").write_bytes(JSON.read_bytes())
    (folder / "checkpoint").write_text('model_checkpoint_path: "/somebody/albert_model.ckpt"\n', encoding="utf-8")
    return folder, model


@pytest.fixture
def with_config(published, tmp_path):
    """``with_config(field=value)``: a JSON of that network with some fields changed."""

    def change(**changes):
        values = json.loads(JSON.read_text(encoding="utf-8")) | changes
        (tmp_path / "config.json").write_text(json.dumps(values), encoding="utf-8")
        return tmp_path / "config.json"

    return change


def test_all_31_names_of_the_index_are_the_network_s_and_none_is_left_over(published):
    folder, model = published
    source = find(folder)
    assert source.config.family == "brightmart"
    assert len(source.shapes) == 31
    assert set(source.shapes) == set(variable_names(model))
    assert {name: source.shapes[name] for name in SHAPES} == SHAPES
    assert (source.stored.slots, source.stored.foreign) == (0, ())


def test_the_weights_that_are_not_there_are_told_with_their_number_and_bytes(published):
    folder, _ = published
    with pytest.raises(InputError, match=rf"lists 31 arrays of 17,180,744 bytes in all, but there is no {DATA}"):
        load_pretrained(folder)


def test_the_graph_beside_the_weights_tells_heads_and_layers(published):
    known = find(published[0]).stored.known
    assert {name: value for name, (value, _) in known.items()} == {"num_attention_heads": 12, "num_hidden_layers": 4}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"num_attention_heads": 6}, r"num_attention_heads 12 \(albert_model\.ckpt\.meta\), the config says 6"),
        ({"num_hidden_layers": 6}, r"num_hidden_layers 4 \(albert_model\.ckpt\.meta\), the config says 6"),
        ({"hidden_size": 384}, r"position_embeddings is \[512, 312\], the config says \[512, 384\]"),
    ],
    ids=["heads", "layers", "width"],
)
def test_a_config_of_another_network_is_refused_although_no_weights_are_there(changes, said, published, with_config):
    with pytest.raises(InputError, match=said):
        find(published[0], with_config(**changes))


@pytest.mark.parametrize(
    "graph",
    [
        b"",
        b"\xff\xff\xff\xff not a graph",
        {"layers": 0},
        {"name": "layer"},  # BERT's
        {"damage": TensorProto(dtype=99, tensor_shape=FOUR)},
        {"damage": TensorProto(dtype=7, tensor_shape=FOUR, string_val=[b"a", b"b", b"c", b"d"])},
        {"damage": TensorProto(dtype=3, tensor_shape=FOUR, tensor_content=b"123")},
        {"damage": TensorProto(dtype=3, tensor_shape={"dim": [{"size": 1 << 40}]}, int_val=[12])},
    ],
    ids=["empty", "damaged", "without-layers", "of-another-network", "no-type", "text", "cut-off", "claims-terabytes"],
)
def test_a_graph_that_tells_nothing_leaves_heads_and_layers_to_the_json(graph, published, with_config, tmp_path):
    for file in published[0].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    meta = tmp_path / "albert_model.ckpt.meta"
    meta.write_bytes(graph) if isinstance(graph, bytes) else write_graph(meta, **graph)
    config = find(tmp_path, with_config(num_attention_heads=6, num_hidden_layers=7)).config
    assert (config.num_attention_heads, config.num_hidden_layers) == (6, 7)
