"""Finding, loading and saving a model: whatever the layout, what matched is said, what does not is refused."""

import errno
import json
import os
import shutil

import numpy as np
import pytest
from keras import ops

from albert_zh import files, layouts, pretrained
from albert_zh.convert.tensorflow1 import save_weights, write_checkpoint
from albert_zh.convert.weights import variable_names
from albert_zh.files import InputError, sha256
from albert_zh.layouts import save_pretrained
from albert_zh.models.heads import AlbertForClassification, AlbertForPretraining
from albert_zh.pretrained import find, load_pretrained, vocabulary_of


def listing(folder):
    return sorted(path.name for path in folder.iterdir())


def state(model):
    return {name: ops.convert_to_numpy(variable) for name, variable in variable_names(model).items()}


def assert_same_weights(first, second):
    first, second = state(first), state(second)
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def load(path, *args, **kwargs):
    """(model, what was said)"""
    said = []
    return load_pretrained(path, *args, say=said.append, **kwargs), "\n".join(said)


@pytest.fixture
def copied(golden, tmp_path):
    """``copied(name)``: a golden folder's checkpoint and config in a folder of the test's own."""

    def copy(name):
        folder = tmp_path / name
        shutil.copytree(golden / name, folder, ignore=shutil.ignore_patterns("*.npz"))
        return folder

    return copy


# -------------------------------------------------------------------------------------------------------------- loading


@pytest.mark.parametrize("name", ["brightmart_postln", "brightmart_preln", "google_1group", "google_2groups_2inner"])
def test_a_published_folder_loads_with_its_family_and_both_heads(name, golden):
    model, said = load(golden / name)
    expected = np.load(golden / name / "expected.npz")
    assert isinstance(model, AlbertForPretraining)
    assert model.config.family == name.split("_")[0]
    out = model({key: expected[key].astype(np.int32) for key in ("input_ids", "input_mask", "segment_ids")})
    np.testing.assert_allclose(out["pooled_output"], expected["pooled_output"], atol=1e-5)
    assert f"{len(variable_names(model))} arrays loaded" in said
    assert "not in it" not in said


def test_the_checkpoint_s_family_is_taken_where_the_json_tells_none(golden):
    model, _ = load(golden / "google_1group", golden / "brightmart_postln" / "albert_config.json")
    assert model.config.family == "google"
    assert_same_weights(model, load(golden / "google_1group")[0])


@pytest.mark.parametrize("stated", [{"family": "google"}, {"num_hidden_groups": 1}, {"net_structure_type": 0}])
def test_a_json_that_states_the_other_family_is_refused_naming_both(stated, golden, tmp_path):
    values = json.loads((golden / "brightmart_postln" / "albert_config.json").read_text(encoding="utf-8"))
    values.pop("ln_type", None)
    (tmp_path / "other.json").write_text(json.dumps(values | stated), encoding="utf-8")
    said = r"other\.json: a config of the google family, but .* holds weights of the brightmart family"
    with pytest.raises(InputError, match=said):
        load(golden / "brightmart_postln", tmp_path / "other.json")


def test_a_config_of_another_size_is_refused_naming_family_variable_and_shapes(golden):
    shipped = os.path.join(os.path.dirname(__file__), "..", "albert_config", "albert_config_tiny.json")
    with pytest.raises(
        InputError,
        match=r"brightmart checkpoint of another size: bert/embeddings/word_embeddings is \[211, 16\].*\[21128",
    ):
        load(golden / "brightmart_postln", shipped)


def test_names_published_archives_use_are_found(copied):
    folder = copied("google_1group")
    for file in folder.glob("albert_model.ckpt.*"):
        file.rename(folder / file.name.replace("albert_model.ckpt", "model.ckpt-best"))
    (folder / "albert_config.json").rename(folder / "albert_config_tiny_g.json")
    (folder / "vocab_chinese.txt").write_text("[PAD]\n", encoding="utf-8")
    (folder / "checkpoint").write_text('model_checkpoint_path: "gs://bucket/other.ckpt"\n', encoding="utf-8")
    source = find(folder)
    assert source.where == str(folder / "model.ckpt-best")
    assert source.vocabularies == (folder / "vocab_chinese.txt",)
    assert find(source.where).config == find(f"{source.where}.index").config == source.config


def test_a_run_s_folder_stands_for_its_finished_then_best_then_newest_weights(tiny_config, tmp_path):
    tiny_config().to_json(tmp_path / "albert_config.json")
    model = AlbertForPretraining(tiny_config())
    for name in ("model.ckpt-900", "model.ckpt-1000", "model.ckpt-best", "albert_model.ckpt"):
        save_weights(model, tmp_path / name)
        assert find(tmp_path).where == str(tmp_path / name)


def test_other_checkpoints_side_by_side_are_to_be_named(copied):
    folder = copied("google_1group")
    for file in list(folder.glob("albert_model.ckpt.*")):
        for name in ("a.ckpt", "b.ckpt"):
            shutil.copy(file, folder / file.name.replace("albert_model.ckpt", name))
        file.unlink()
    with pytest.raises(InputError, match=r"several checkpoints \(a\.ckpt, b\.ckpt\)"):
        load(folder)
    assert load(folder / "b.ckpt")[0].config.family == "google"


def test_a_config_missing_or_ambiguous_is_refused(copied):
    folder = copied("google_1group")
    config = folder / "albert_config.json"
    for name in ("albert_config_a.json", "albert_config_b.json"):
        shutil.copy(config, folder / name)
    assert find(folder).config.family == "google"  # the exact name wins
    config.unlink()
    with pytest.raises(InputError, match=r"several files could be meant: albert_config_a\.json, albert_config_b\.json"):
        find(folder)
    for path in folder.glob("*.json"):
        path.unlink()
    with pytest.raises(InputError, match=r"no config beside the checkpoint .*--bert_config_file"):
        find(folder)


def test_without_a_config_the_shipped_ones_of_the_same_sizes_are_named(tiny_config, tmp_path):
    small = {"embedding_size": 128, "hidden_size": 384, "num_attention_heads": 12, "intermediate_size": 1536}
    config = tiny_config(vocab_size=21128, max_position_embeddings=512, family="google", **small)
    save_weights(AlbertForPretraining(config), tmp_path / "m.ckpt")
    with pytest.raises(InputError, match=r"of this size are \S+/albert_config_small_google\.json\.$"):
        find(tmp_path)


def test_damaged_files_are_refused(copied):
    folder = copied("brightmart_postln")
    data = folder / "albert_model.ckpt.data-00000-of-00001"
    content = data.read_bytes()
    data.write_bytes(content[:-1000])
    with pytest.raises(InputError, match="the download was cut off"):
        load(folder)
    data.unlink()
    with pytest.raises(InputError, match=r"there is no albert_model\.ckpt\.data-00000-of-00001 with the weights"):
        load(folder)
    data.write_bytes(content)
    index = folder / "albert_model.ckpt.index"
    index.write_bytes(index.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"albert_model\.ckpt\.index: cannot be read"):
        load(folder)
    index.unlink()
    with pytest.raises(InputError, match="no checkpoint there"):
        load(folder)


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match="none: no checkpoint there"):
        load(tmp_path / "none")


def test_a_bert_checkpoint_and_one_with_values_that_are_not_finite_are_refused(tiny_config, tmp_path):
    tiny_config().to_json(tmp_path / "bert_config.json")
    bert = {"bert/embeddings/word_embeddings": (40, 16), "bert/encoder/layer_0/attention/self/query/kernel": (16, 16)}
    write_checkpoint(tmp_path / "bert_model.ckpt", {name: np.zeros(shape, np.float32) for name, shape in bert.items()})
    with pytest.raises(InputError, match="this is a BERT checkpoint"):
        load(tmp_path)
    model = AlbertForPretraining(tiny_config())
    model.encoder.pooler.bias.assign(np.full(16, np.nan, np.float32))
    save_weights(model, tmp_path / "bert_model.ckpt")
    with pytest.raises(InputError, match="bert/pooler/dense/bias holds values that are not finite"):
        load(tmp_path)


def test_a_fine_tuned_checkpoint_loads_as_a_classifier(tiny_config, tmp_path):
    model = AlbertForClassification(tiny_config(), 7, seed=2)
    save_pretrained(model, tmp_path / "out")
    twin, _ = load(tmp_path / "out")
    assert (type(twin), twin.num_classes) == (AlbertForClassification, 7)
    assert_same_weights(model, twin)


def test_weights_the_checkpoint_lacks_come_from_the_seed_and_are_listed(tiny_config, tmp_path):
    arrays = {name: a for name, a in state(AlbertForPretraining(tiny_config())).items() if name.startswith("bert/")}
    write_checkpoint(tmp_path / "m.ckpt", arrays)
    tiny_config().to_json(tmp_path / "albert_config.json")
    models = [load(tmp_path, seed=seed) for seed in (1, 1, 2)]
    assert "not in it, freshly initialised (7): " in models[0][1]
    assert "cls/predictions/transform/dense/kernel" in models[0][1]
    assert_same_weights(models[0][0], models[1][0])
    name = "cls/seq_relationship/output_weights"
    assert (state(models[0][0])[name] != state(models[2][0])[name]).any()


# --------------------------------------------------------------------------------------------------------------- saving


@pytest.mark.parametrize("name", ["brightmart_postln", "brightmart_preln", "google_1group", "google_2groups_2inner"])
def test_saving_then_loading_is_the_identity(name, golden, tmp_path):
    model, _ = load(golden / name)
    (tmp_path / "words.txt").write_text("[PAD]\n", encoding="utf-8")
    save_pretrained(model, tmp_path / "out", vocabulary=tmp_path / "words.txt")
    twin, said = load(tmp_path / "out")
    assert twin.config == model.config
    assert_same_weights(model, twin)
    assert "not in it" not in said
    assert "not used" not in said
    assert listing(tmp_path / "out") == [
        "albert_config.json",
        "albert_model.ckpt.data-00000-of-00001",
        "albert_model.ckpt.index",
        "vocab.txt",
    ]
    assert find(tmp_path / "out").vocabularies[0].read_bytes() == b"[PAD]\n"


def test_a_sentencepiece_vocabulary_keeps_its_kind(tiny_config, tmp_path):
    (tmp_path / "30k-clean.model").write_bytes(b"pieces")
    save_pretrained(AlbertForPretraining(tiny_config()), tmp_path / "out", vocabulary=tmp_path / "30k-clean.model")
    assert find(tmp_path / "out").vocabularies[0] == tmp_path / "out" / "spm.model"


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_save_that_fails_leaves_the_older_folder_and_nothing_else(call, tiny_config, tmp_path, monkeypatch):
    old, new = (AlbertForPretraining(tiny_config(), seed=seed) for seed in (0, 1))
    save_pretrained(old, tmp_path / "out")

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(files.os, call, full)
        for name in ("out", "other"):
            with pytest.raises(InputError, match=r"No space left|disk is full"):
                save_pretrained(new, tmp_path / name)
    assert listing(tmp_path) == ["out"]
    assert_same_weights(old, load(tmp_path / "out")[0])


def test_a_layout_nobody_knows_is_refused_before_anything_is_written(tiny_config, tmp_path):
    with pytest.raises(InputError, match="layout 'tf9': not one of tf1"):
        save_pretrained(AlbertForPretraining(tiny_config()), tmp_path / "out", layout="tf9")
    assert listing(tmp_path) == []


def test_the_config_written_is_read_by_anyone(tiny_config, tmp_path):
    save_pretrained(AlbertForPretraining(tiny_config(family="google")), tmp_path / "out")
    written = json.loads((tmp_path / "out" / "albert_config.json").read_text(encoding="utf-8"))
    assert (written["hidden_size"], written["num_hidden_groups"], written["family"]) == (16, 1, "google")


# ----------------------------------------------------------------------------------------------------------- vocabulary


@pytest.fixture
def source(copied):
    folder = copied("google_1group")
    (folder / "vocab.txt").write_text("[PAD]\n研\n", encoding="utf-8")
    return find(folder)


def test_the_checkpoint_s_own_vocabulary_wins(source, tmp_path):
    assert vocabulary_of(source, None) == source.vocabularies[0]
    shutil.copy(source.vocabularies[0], tmp_path / "same.txt")
    assert vocabulary_of(source, tmp_path / "same.txt") == source.vocabularies[0]


def test_another_vocabulary_is_refused_with_both_hashes(source, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("[PAD]\n究\n", encoding="utf-8")
    with pytest.raises(
        InputError, match=r"--vocab_file=.*other\.txt .*is not the vocabulary of the checkpoint"
    ) as caught:
        vocabulary_of(source, other)
    assert sha256(other)[:12] in str(caught.value)
    assert sha256(source.vocabularies[0])[:12] in str(caught.value)


def test_of_several_vocabularies_the_one_given_is_used_and_without_one_they_are_named(copied, tmp_path):
    folder = copied("google_1group")
    for name in "ab":
        (folder / f"vocab_{name}.txt").write_text(f"[PAD]\n{name}\n", encoding="utf-8")
    source = find(folder)
    assert vocabulary_of(source, folder / "vocab_b.txt") == folder / "vocab_b.txt"
    with pytest.raises(InputError, match=r"several files could be meant: vocab_a\.txt, vocab_b\.txt"):
        vocabulary_of(source, None)
    (tmp_path / "c.txt").write_text("[PAD]\nc\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"not the vocabulary .*vocab_a\.txt .* or .*vocab_b\.txt .*name one of these"):
        vocabulary_of(source, tmp_path / "c.txt")


def test_a_vocabulary_given_serves_where_the_checkpoint_has_none(golden, tmp_path):
    (tmp_path / "v.txt").write_text("[PAD]\n", encoding="utf-8")
    bare = find(golden / "google_1group")
    assert vocabulary_of(bare, tmp_path / "v.txt") == vocabulary_of(None, tmp_path / "v.txt") == tmp_path / "v.txt"
    for nothing in (bare, None):
        with pytest.raises(
            InputError, match="no vocabulary: none lies beside the checkpoint and --vocab_file is not given"
        ):
            vocabulary_of(nothing, None)
    with pytest.raises(InputError, match=r"--spm_model_file=.*none\.model: no such file"):
        vocabulary_of(bare, tmp_path / "none.model", "--spm_model_file")


def test_the_public_names_are_these_functions():
    import albert_zh

    assert albert_zh.load_pretrained is pretrained.load_pretrained
    assert albert_zh.save_pretrained is layouts.save_pretrained
