"""AlbertConfig: published files are read as they are, anything else is refused by name."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from albert_zh.config import ACTIVATIONS, AlbertConfig
from albert_zh.files import InputError

CONFIGS = sorted((Path(__file__).parent.parent / "albert_config").glob("albert_config_*.json"))
ENGLISH = [path for path in CONFIGS if path.stem.endswith(("_v1", "_v2"))]
CHINESE = [path for path in CONFIGS if path not in ENGLISH and "nano" not in path.stem]
NEEDED = {
    "vocab_size": 40,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 24,
}

#: layers, H, heads, FFN of facts known from the published archives; google's own xlarge and xxlarge have 16 heads.
SIZES = {
    "tiny": (4, 312, 12, 1248),
    "small": (6, 384, 12, 1536),
    "base": (12, 768, 12, 3072),
    "large": (24, 1024, 16, 4096),
    "xlarge": (24, 2048, 32, 8192),
    "xxlarge": (12, 4096, 64, 16384),
}
GOOGLE_HEADS = {"xlarge": 16, "xxlarge": 16}
#: The English models' heads. Of xlarge_v2 its own archive and TF Hub say 32 and Hugging Face's port 16
#: (https://github.com/google-research/albert/issues/180). Of xlarge_v1 TF Hub says 32 and the port 16: unsettled.
ENGLISH_HEADS = {"base": 12, "large": 16, "xlarge_v1": 16, "xlarge_v2": 32, "xxlarge": 64}


def test_a_shipped_file_exists_for_every_size_of_both_families():
    assert {path.stem for path in CHINESE} == {
        f"albert_config_{size}{end}" for size in SIZES for end in ("", "_google")
    }
    assert {path.stem for path in ENGLISH} == {
        f"albert_config_{size}_{version}" for size in ("base", "large", "xlarge", "xxlarge") for version in ("v1", "v2")
    }


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_shipped_config_survives_writing_and_reading(path, tmp_path):
    config = AlbertConfig.from_json(path)
    config.to_json(tmp_path / "albert_config.json")
    assert AlbertConfig.from_json(tmp_path / "albert_config.json") == config
    assert config.to_dict() == {**config.to_dict(), **json.loads(path.read_text(encoding="utf-8"))}


@pytest.mark.parametrize("path", CHINESE, ids=lambda path: path.stem)
def test_a_shipped_config_has_the_published_size(path):
    config, google = AlbertConfig.from_json(path), path.stem.endswith("_google")
    size = path.stem.removeprefix("albert_config_").removesuffix("_google")
    layers, hidden, heads, inner = SIZES[size]
    heads = GOOGLE_HEADS.get(size, heads) if google else heads
    assert (config.num_hidden_layers, config.hidden_size, config.num_attention_heads, config.intermediate_size) == (
        layers,
        hidden,
        heads,
        inner,
    )
    assert config.family == ("google" if google else "brightmart")
    assert (config.embedding_size, config.vocab_size, config.max_position_embeddings) == (128, 21128, 512)
    assert (config.type_vocab_size, config.hidden_dropout_prob, config.attention_probs_dropout_prob) == (2, 0.0, 0.0)
    assert config.ln_type == ("preln" if size == "xxlarge" and not google else "postln")


@pytest.mark.parametrize("path", ENGLISH, ids=lambda path: path.stem)
def test_an_english_config_is_that_of_the_published_model(path):
    config = AlbertConfig.from_json(path)
    name = path.stem.removeprefix("albert_config_")
    size, version = name.split("_")
    layers, hidden, _, inner = SIZES[size]
    dropout = 0.1 if version == "v1" and size != "xxlarge" else 0.0
    assert config == AlbertConfig(
        family="google",
        vocab_size=30000,
        embedding_size=128,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=ENGLISH_HEADS.get(name) or ENGLISH_HEADS[size],
        intermediate_size=inner,
        hidden_act="gelu",
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        max_position_embeddings=512,
        type_vocab_size=2,
        initializer_range=0.02,
    )


@pytest.mark.parametrize(
    ("key", "nearest"),
    [("hiden_size", "hidden_size"), ("num_layers", "num_hidden_layers"), ("hidden_dropout", "hidden_dropout_prob")],
)
def test_an_unknown_key_is_refused_and_the_nearest_named(key, nearest, tmp_path):
    path = tmp_path / "albert_config.json"
    path.write_text(json.dumps({**NEEDED, key: 1}), encoding="utf-8")
    with pytest.raises(InputError, match=rf"albert_config\.json: unknown key '{key}'.*'{nearest}'"):
        AlbertConfig.from_json(path)


def test_an_unknown_key_like_no_other_is_to_be_removed():
    with pytest.raises(InputError, match=r"unknown key 'zzz'\. Remove it"):
        AlbertConfig.from_dict({**NEEDED, "zzz": 1})


@pytest.mark.parametrize("key", NEEDED)
def test_a_missing_key_is_named(key):
    with pytest.raises(InputError, match=f"my.json: missing key '{key}'"):
        AlbertConfig.from_dict({name: value for name, value in NEEDED.items() if name != key}, where="my.json")


def test_keys_of_published_files_that_change_nothing_are_accepted():
    google = {"net_structure_type": 0, "gap_size": 0, "num_memory_blocks": 0, "down_scale_factor": 1}
    google["layers_to_keep"] = []  # in google's Chinese models and in xxlarge
    bert = {"directionality": "bidi", "pooler_fc_size": 768, "pooler_num_attention_heads": 12, "pooler_type": "x"}
    assert AlbertConfig.from_dict(NEEDED | google) == AlbertConfig.from_dict(NEEDED | {"family": "google"})
    assert AlbertConfig.from_dict(NEEDED | bert) == AlbertConfig.from_dict(NEEDED)


@pytest.mark.parametrize(
    ("extra", "family"),
    [
        ({}, "brightmart"),
        ({"ln_type": "preln"}, "brightmart"),
        ({"num_hidden_groups": 1}, "google"),
        ({"inner_group_num": 1}, "google"),
        ({"gap_size": 0}, "google"),
        ({"model_type": "albert"}, "google"),
        ({"gap_size": 0, "family": "brightmart"}, "brightmart"),
    ],
)
def test_the_family_is_the_one_named_or_told_by_google_s_own_keys(extra, family):
    assert AlbertConfig.from_dict(NEEDED | extra).family == family


def test_plain_gelu_is_the_tanh_form_except_in_hugging_face_files():
    assert AlbertConfig.from_dict(NEEDED | {"hidden_act": "gelu"}).hidden_act == "gelu"
    assert AlbertConfig.from_dict(NEEDED | {"hidden_act": "gelu", "model_type": "albert"}).hidden_act == "gelu_exact"
    assert AlbertConfig.from_dict(NEEDED | {"hidden_act": "gelu_new", "model_type": "albert"}).hidden_act == "gelu"
    assert AlbertConfig.from_dict(NEEDED | {"model_type": "albert"}).hidden_act == "gelu"  # its default is gelu_new


def test_a_hugging_face_config_is_read():
    theirs = {"model_type": "albert", "architectures": ["x"], "pad_token_id": 0, "num_hidden_groups": 1}
    config = AlbertConfig.from_dict(NEEDED | theirs | {"inner_group_num": 2, "transformers_version": "4"})
    assert (config.family, config.inner_group_num) == ("google", 2)
    with pytest.raises(InputError, match="unknown key 'architectures'"):
        AlbertConfig.from_dict(NEEDED | {"architectures": ["x"]})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_size": 18}, "hidden_size 18 is not a multiple of num_attention_heads 4"),
        ({"hidden_size": "16"}, "hidden_size is '16', not a whole number"),
        ({"vocab_size": 0}, "vocab_size is 0, not a whole number"),
        ({"num_hidden_layers": True}, "num_hidden_layers is True"),
        ({"intermediate_size": 24.0}, "intermediate_size is 24.0"),
        ({"hidden_dropout_prob": 1.0}, "hidden_dropout_prob is 1.0, not a number from 0 to below 1"),
        ({"attention_probs_dropout_prob": -0.1}, "attention_probs_dropout_prob is -0.1"),
        ({"initializer_range": None}, "initializer_range is None"),
        ({"hidden_act": "swish"}, "hidden_act is 'swish', not one of gelu"),
        ({"ln_type": "middle"}, "ln_type is 'middle', not one of postln, preln"),
        ({"family": "bert"}, "family is 'bert', not one of brightmart, google"),
        ({"num_hidden_groups": 3}, "with num_hidden_groups 3 and num_hidden_layers 2 no layer would run group 2"),
        ({"num_hidden_layers": 10**9}, "num_hidden_layers is 1,000,000,000, more than 1,000"),
        ({"num_hidden_groups": 22, "num_hidden_layers": 22, "family": "google"}, "with .* 22 no layer would run group"),
        ({"num_hidden_groups": 2, "family": "brightmart"}, "the brightmart family shares one layer"),
        ({"inner_group_num": 2, "family": "brightmart"}, "the brightmart family shares one layer"),
        ({"ln_type": "preln", "family": "google"}, "the google family is post-LN only"),
    ],
)
def test_a_value_out_of_range_is_refused_with_the_file_the_field_and_the_value(changes, message):
    with pytest.raises(InputError, match=f"^my.json: config: {message}"):
        AlbertConfig.from_dict(NEEDED | changes, where="my.json")


def test_replace_checks_again():
    with pytest.raises(InputError, match="not a multiple"):
        AlbertConfig.from_dict(NEEDED).replace(num_attention_heads=5)


@pytest.mark.parametrize("value", [[], "text", 3, None])
def test_a_json_that_is_no_object_is_refused(value, tmp_path):
    path = tmp_path / "albert_config.json"
    path.write_text(json.dumps(value), encoding="utf-8")
    with pytest.raises(InputError, match=r"albert_config\.json: a JSON .*not an object"):
        AlbertConfig.from_json(path)


def test_a_missing_file_and_one_that_is_no_json_are_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.json: cannot be read"):
        AlbertConfig.from_json(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text('{\n "vocab_size": 3,\n}', encoding="utf-8")
    with pytest.raises(InputError, match=r"bad\.json:3: not JSON"):
        AlbertConfig.from_json(tmp_path / "bad.json")


def groups_of(layers):
    """Numbers of groups by which the published rule gives every group a layer."""

    def used(groups):
        return {int(layer / layers * groups) for layer in range(layers)} == set(range(groups))

    return st.integers(1, layers).filter(used)


@given(
    heads=st.integers(1, 16),
    head_size=st.integers(1, 64),
    layers=st.integers(1, 24),
    family=st.sampled_from(["brightmart", "google"]),
    act=st.sampled_from(ACTIVATIONS),
    dropout=st.floats(0, 1, exclude_max=True),
    data=st.data(),
)
def test_any_valid_config_equals_the_one_read_from_its_dict(heads, head_size, layers, family, act, dropout, data):
    config = AlbertConfig(
        vocab_size=40,
        hidden_size=heads * head_size,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=24,
        family=family,
        hidden_act=act,
        hidden_dropout_prob=dropout,
        num_hidden_groups=data.draw(groups_of(layers)) if family == "google" else 1,
        ln_type=data.draw(st.sampled_from(["postln", "preln"])) if family == "brightmart" else "postln",
    )
    assert AlbertConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert config.head_size == head_size


def test_what_hugging_face_adds_to_its_config_does_no_harm():
    values = NEEDED | {"model_type": "albert", "_attn_implementation_autoset": True, "forced_eos_token_id": None}
    assert AlbertConfig.from_dict(values).family == "google"
    with pytest.raises(InputError, match="unknown key 'forced_eos_token_id'"):
        AlbertConfig.from_dict(NEEDED | {"forced_eos_token_id": None})


def test_a_json_too_deep_or_with_an_endless_number_is_refused(tmp_path):
    for text in ("[" * 200_000, '{"vocab_size": ' + "9" * 5000 + "}"):
        (tmp_path / "c.json").write_text(text)
        with pytest.raises(InputError, match=r"c\.json: not a JSON file of this kind"):
            AlbertConfig.from_json(tmp_path / "c.json")
