"""Conversion: every layout into every other gives the same arrays, and what is written is checked by numbers."""

import dataclasses
import itertools
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from keras import ops

from albert_zh import conversion, layouts
from albert_zh.config import AlbertConfig
from albert_zh.conversion import Verdict, random_batch, run
from albert_zh.convert import tensorflow1
from albert_zh.convert.families import as_family
from albert_zh.convert.options import ConvertOptions
from albert_zh.convert.weights import arrays_of, variable_names
from albert_zh.files import InputError
from albert_zh.layouts import LAYOUTS
from albert_zh.models.heads import AlbertForClassification, AlbertForPretraining, AlbertModel
from albert_zh.pretrained import find, load

REPOSITORY = Path(__file__).parent.parent
GOLDEN_TF1 = ["brightmart_postln", "brightmart_preln", "google_1group", "google_2groups_2inner"]
PAIRS = list(itertools.permutations(LAYOUTS, 2))
HEADS = "cls/", "output_"


def convert(source, target, to, **others):
    return run(ConvertOptions(source=str(source), target=str(target), to=to, **others))


def read(folder):
    """(config, arrays by TF1 name) as they are stored."""
    source = find(folder)
    return source.config, source.stored.read(list(source.shapes))


def assert_same(first, second):
    assert first[0] == second[0]
    assert first[1].keys() == second[1].keys()
    for name, array in first[1].items():
        np.testing.assert_array_equal(array, second[1][name], err_msg=name)


def randomised(model, seed=0):
    """The model with every array at random: nothing is left at zero or one, where a slip would not show."""
    dice = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        centre = 1.0 if variable.path.endswith("gamma") else 0.0
        variable.assign(dice.normal(centre, 0.2, variable.shape))
    return model


@pytest.fixture
def vocabulary(tmp_path):
    """A vocabulary of 40 entries."""
    path = tmp_path / "words.txt"
    characters = "天地人和上下左右东西南北春夏秋冬山水风云日月星光花草树木江河湖海田土"
    path.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *characters][:40]), encoding="utf-8")
    return path


@pytest.fixture
def finetuned(tiny_config, tmp_path, vocabulary):
    """A fine-tuned folder of the google family."""
    folder = tmp_path / "finetuned"
    model = randomised(AlbertForClassification(tiny_config(family="google"), 2))
    layouts.save_pretrained(model, folder, vocabulary=vocabulary)
    about = {
        "task": "lcqmc",
        "labels": ["0", "1"],
        "label_names": ["different", "same"],
        "max_seq_length": 32,
        "lower_case": True,
        "tokenizer": "wordpiece",
    }
    (folder / "task.json").write_text(json.dumps(about), encoding="utf-8")
    return folder


# ------------------------------------------------------------------------------------------------------------ identity


@pytest.mark.parametrize(("first", "second"), PAIRS)
@pytest.mark.parametrize("kind", ["pretrained", "finetuned"])
def test_there_and_back_again_gives_identical_arrays(first, second, kind, tiny_config, tmp_path):
    config = tiny_config(family="google")
    model = AlbertForPretraining(config) if kind == "pretrained" else AlbertForClassification(config, 3)
    layouts.save_pretrained(randomised(model), tmp_path / "a", layout=first)
    convert(tmp_path / "a", tmp_path / "b", second)
    convert(tmp_path / "b", tmp_path / "c", first)
    original = (config, arrays_of(model))
    assert set(original[1]) == set(variable_names(model))
    for folder in "abc":
        assert_same(original, read(tmp_path / folder))


@pytest.mark.parametrize("name", GOLDEN_TF1)
@pytest.mark.parametrize("to", [layout for layout in LAYOUTS if not LAYOUTS[layout].family])
def test_any_network_goes_into_the_layouts_that_hold_any(name, to, golden, tmp_path, capsys):
    convert(golden / name, tmp_path / "out", to)
    assert_same(read(golden / name), read(tmp_path / "out"))
    said = capsys.readouterr().out
    difference = float(said.split("rows of random tokens: ")[1].split()[0])
    assert difference <= 1e-5
    assert difference == 0 or to == "savedmodel"


@pytest.mark.parametrize("to", ["tf2", "huggingface"])
def test_a_brightmart_model_goes_in_exactly_as_the_google_model_it_equals(to, golden, tmp_path, capsys):
    folder = golden / "brightmart_postln"
    convert(folder, tmp_path / "out", to)
    config, arrays = read(tmp_path / "out")
    assert (config.family, config.embedding_size) == ("google", config.hidden_size)
    original = tensorflow1.read_checkpoint(folder / "albert_model.ckpt")
    product = original["bert/embeddings/word_embeddings"].astype(np.float64) @ original[
        "bert/embeddings/word_embeddings_2"
    ].astype(np.float64)
    np.testing.assert_array_equal(arrays["bert/embeddings/word_embeddings"], product.astype(np.float32))
    expected = np.load(folder / "expected.npz")
    inputs = ("input_ids", "input_mask", "segment_ids", "masked_lm_positions")
    out = load(find(tmp_path / "out"))[0]({name: expected[name].astype(np.int32) for name in inputs})
    np.testing.assert_allclose(out["sequence_output"], expected["sequence_output"], atol=1e-5, rtol=0)
    np.testing.assert_allclose(out["pooled_output"], expected["pooled_output"], atol=1e-5, rtol=0)
    log_probabilities = ops.convert_to_numpy(ops.log_softmax(out["mlm_logits"])).reshape(-1, config.vocab_size)
    np.testing.assert_allclose(log_probabilities, expected["mlm_log_probs"], atol=1e-4, rtol=0)
    np.testing.assert_allclose(ops.log_softmax(out["sop_logits"]), expected["sop_log_probs"], atol=1e-4, rtol=0)
    assert "brightmart -> google: the same network with embedding_size 48 instead of 16" in capsys.readouterr().out


def test_such_a_google_model_goes_back_to_brightmart_and_computes_the_same(golden, tmp_path):
    convert(golden / "brightmart_postln", tmp_path / "google", "tf1", family="google")
    convert(tmp_path / "google", tmp_path / "back", "tf1", family="brightmart")
    models = [load(find(folder))[0] for folder in (golden / "brightmart_postln", tmp_path / "back")]
    assert [model.config.family for model in models] == ["brightmart", "brightmart"]
    batch = random_batch(models[0], 3)
    first, second = (model(batch) for model in models)
    for name in ("sequence_output", "pooled_output", "sop_logits", "mlm_logits"):
        np.testing.assert_allclose(first[name], second[name], atol=1e-5, rtol=0, err_msg=name)


def test_an_encoder_alone_stays_one_in_every_layout(golden, tmp_path, capsys):
    source = golden / "tf2_garden" / "bert_model.ckpt-1"
    for layout in LAYOUTS:
        convert(source, tmp_path / layout, layout)
        said = capsys.readouterr().out
        assert not any(name.startswith(HEADS) for name in find(tmp_path / layout).shapes), layout
        assert isinstance(load(find(tmp_path / layout), bare=True)[0], AlbertModel)
        assert "the source lacks" not in said
        assert_same(read(source), read(tmp_path / layout))
    assert json.loads((tmp_path / "huggingface" / "config.json").read_text())["architectures"] == ["AlbertModel"]


@pytest.mark.parametrize("to", LAYOUTS)
def test_a_head_the_source_lacks_is_never_made_up(to, tiny_config, tmp_path, capsys):
    model = randomised(AlbertForPretraining(tiny_config(family="google")))
    held = {name for name in variable_names(model) if not name.startswith(("cls/seq", "bert/pooler"))}
    (tmp_path / "a").mkdir()
    layouts.write_model(model, tmp_path / "a", names=held)
    convert(tmp_path / "a", tmp_path / "b", to)
    said = capsys.readouterr().out
    if to == "keras":
        assert "the source lacks the pooler, the sentence-order head: freshly initialised in it" in said
    else:
        assert "the source lacks the pooler, the sentence-order head: not in it" in said
        assert set(find(tmp_path / "b").shapes) == held


def test_a_fine_tuned_folder_answers_the_same_in_every_layout(finetuned, tmp_path):
    from albert_zh.serve.classifier import Classifier

    texts = [("天地人和", "上下左右"), ("东西南北", "春夏秋冬山水")]
    expected = Classifier(finetuned).predict(texts)
    for layout in LAYOUTS:
        folder = convert(finetuned, tmp_path / layout, layout)
        for one, other in zip(Classifier(folder).predict(texts), expected, strict=True):
            assert one.label == other.label
            np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-6)
    config = json.loads((tmp_path / "huggingface" / "config.json").read_text(encoding="utf-8"))
    assert config["architectures"] == ["AlbertForSequenceClassification"]
    assert config["id2label"] == {"0": "different", "1": "same"}


# --------------------------------------------------------------------------------------------------------- what is said


def test_what_is_not_carried_over_is_listed(tiny_config, tmp_path, capsys):
    model = randomised(AlbertForPretraining(tiny_config()))
    arrays = arrays_of(model)
    slots = {f"{name}/lamb_m": array for name, array in arrays.items()}
    extra = {"global_step": np.int64(7), "somebody/else": np.zeros(3, np.float32)}
    tensorflow1.write_checkpoint(tmp_path / "a" / "m.ckpt", arrays | slots | extra)
    model.config.to_json(tmp_path / "a" / "albert_config.json")
    convert(tmp_path / "a", tmp_path / "b", "keras")
    said = capsys.readouterr().out
    assert f"not carried over: {len(arrays) + 1} optimizer slots and counters" in said
    assert "not carried over (1): somebody/else" in said
    assert "no vocabulary is known: none written" in said


def test_the_vocabulary_goes_along_and_one_too_large_is_refused(golden, vocabulary, tmp_path):
    source = shutil.copytree(golden / "google_1group", tmp_path / "source")
    shutil.copyfile(vocabulary, source / "vocab.txt")
    for layout in LAYOUTS:
        folder = convert(source, tmp_path / layout, layout)
        assert find(folder).vocabularies[0].read_bytes() == vocabulary.read_bytes()
    large = tmp_path / "large.txt"
    large.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *map(str, range(300))]))
    (source / "vocab.txt").unlink()
    with pytest.raises(InputError, match=r"large\.txt: 305 entries, but the config's vocab_size is 211"):
        convert(source, tmp_path / "none", "tf1", vocab_file=str(large))
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(("root", "other"), [("encoder", "model"), ("model", "encoder")])
def test_a_tf2_checkpoint_is_written_under_the_root_and_the_name_asked_for(root, other, golden, tmp_path):
    folder = convert(golden / "google_1group", tmp_path / "o" / "al.ckpt", "tf2", checkpoint_model_name=root)
    assert folder == tmp_path / "o"
    keys = set(tensorflow1.shapes(tmp_path / "o" / "al.ckpt-1"))
    assert any(key.startswith(f"{root}/layer_with_weights-0/") for key in keys)
    assert not any(key.startswith(f"{other}/") for key in keys)


def test_the_name_of_a_pytorch_file_stands_for_its_folder(golden, tmp_path, capsys):
    folder = convert(golden / "google_1group", tmp_path / "pt" / "pytorch_model.bin", "huggingface")
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    assert "note: the weights are written as" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (
            "convert_albert_tf_checkpoint_to_pytorch.py",
            ["--tf_checkpoint_path={}/albert_model.ckpt", "--albert_config_file={}/albert_config.json"],
        ),
        (
            "tf2_albert_encoder_checkpoint_converter.py",
            ["--albert_config_file={}/albert_config.json", "--checkpoint_to_convert={}/albert_model.ckpt"],
        ),
    ],
)
def test_the_old_names_convert_as_they_are_typed(script, words, golden, tmp_path):
    last = "--pytorch_dump_path" if "pytorch" in script else "--converted_checkpoint_path"
    target = tmp_path / "out" / ("pytorch_model.bin" if "pytorch" in script else "bert_model.ckpt")
    words = [word.format(golden / "google_1group") for word in words]
    command = [sys.executable, str(REPOSITORY / script), *words, f"{last}={target}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "largest difference on 2 rows of random tokens: 0.0e+00" in done.stdout
    assert_same(read(golden / "google_1group"), read(tmp_path / "out"))


# ------------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize("to", ["tf2", "huggingface"])
def test_what_a_layout_cannot_express_is_refused_with_the_reason(to, golden, tmp_path):
    with pytest.raises(InputError, match=r"holds the google family alone, .*normalises before attention"):
        convert(golden / "brightmart_preln", tmp_path / "out", to)
    assert not (tmp_path / "out").exists()


def test_groups_are_refused_by_the_garden_and_family_by_what_cannot_be_it(golden, tmp_path):
    with pytest.raises(InputError, match=r"tf2 cannot hold this model: .*2 groups of 2"):
        convert(golden / "google_2groups_2inner", tmp_path / "out", "tf2")
    with pytest.raises(InputError, match="no equal there: google's network adds and normalises the embeddings"):
        convert(golden / "google_1group", tmp_path / "out", "tf1", family="brightmart")
    with pytest.raises(InputError, match="--family=brightmart: the layout huggingface holds the google family alone"):
        convert(golden / "brightmart_postln", tmp_path / "out", "huggingface", family="brightmart")


def test_a_google_projection_that_is_not_the_identity_has_no_brightmart_equal(tiny_config):
    model = AlbertForPretraining(tiny_config(family="google", embedding_size=16))
    with pytest.raises(InputError, match="its projection of the embeddings is not the identity"):
        as_family(model, "brightmart")


def test_a_head_that_gives_a_number_is_compared_by_it(tiny_config, tmp_path, monkeypatch):
    # Its softmax would be 1 whatever the number.
    layouts.save_pretrained(AlbertForClassification(tiny_config(), 1), tmp_path / "a")
    write = LAYOUTS["keras"].write

    def wrong(model, folder, names, companions):
        model.classifier.bias.assign([1e-3])
        write(model, folder, names, companions)
        model.classifier.bias.assign([0.0])

    monkeypatch.setattr(conversion, "_check_arrays", lambda *_: None)
    convert(tmp_path / "a", tmp_path / "b", "keras")
    monkeypatch.setitem(LAYOUTS, "keras", dataclasses.replace(LAYOUTS["keras"], write=wrong))
    with pytest.raises(InputError, match="answers of the classifier"):
        convert(tmp_path / "a", tmp_path / "c", "keras")


@pytest.mark.parametrize("by", ["arrays", "numbers"])
@pytest.mark.parametrize("to", LAYOUTS)
def test_a_wrong_conversion_is_found_by_its_arrays_and_by_its_numbers_and_leaves_nothing(
    by, to, golden, tmp_path, monkeypatch
):
    write = LAYOUTS[to].write
    if by == "numbers":
        monkeypatch.setattr(conversion, "_check_arrays", lambda *_: None)

    def wrong(model, folder, names, companions):
        bias = model.encoder.pooler.bias
        before = ops.convert_to_numpy(bias)
        bias.assign(before + 1e-3)
        write(model, folder, names, companions)
        bias.assign(before)

    monkeypatch.setitem(LAYOUTS, to, dataclasses.replace(LAYOUTS[to], write=wrong))
    said = {"arrays": r"bert/pooler/dense/bias read again is not", "numbers": r" is not .*pooled output"}[by]
    with pytest.raises(InputError, match=rf"out: not written: .*{said}.*please report it"):
        convert(golden / "google_1group", tmp_path / "out", to)
    assert [path.name for path in tmp_path.iterdir()] == []


def test_only_what_float32_explains_may_be_over_the_limit():
    assert Verdict(1e-5, "x").good
    assert not Verdict(2e-5, "x").good
    assert Verdict(5e-5, "x", rounding=2e-5, exact=1e-7).good
    assert not Verdict(5e-5, "x", rounding=2e-5, exact=1e-4).good
    assert not Verdict(5e-4, "x", rounding=2e-5, exact=1e-7).good
    assert "2.0e-05" in str(Verdict(5e-5, "x", rounding=2e-5, exact=1e-7))


def test_a_difference_float32_makes_by_itself_is_told_by_float64(golden, tmp_path, monkeypatch, capsys):
    # With a limit below what float32 can hold, a correct conversion has to be told from a wrong one by float64.
    monkeypatch.setattr(conversion, "LIMIT", 1e-7)
    convert(golden / "brightmart_postln", tmp_path / "out", "huggingface")
    said = capsys.readouterr().out
    assert "whose rounding alone changes the source's outputs by" in said
    assert float(said.split("in float64 the two differ by ")[1]) < 1e-7


def test_not_a_number_is_no_agreement():
    nan = {"x": np.array([0.0, np.nan])}
    difference, _ = conversion._largest_difference({"x": np.zeros(2)}, nan)
    assert not Verdict(difference, "x").good


def test_the_target_may_hold_nothing_else_and_not_be_the_source(golden, tmp_path):
    source = shutil.copytree(golden / "google_1group", tmp_path / "source")
    with pytest.raises(InputError, match="is, or holds, the folder of the source"):
        convert(source, source, "tf2")
    (tmp_path / "held").mkdir()
    (tmp_path / "held" / "thesis.doc").write_text("mine")
    with pytest.raises(InputError, match=r"holds other files \(thesis\.doc\)"):
        convert(source, tmp_path / "held", "tf2")
    convert(source, tmp_path / "out", "tf2")
    with pytest.raises(InputError, match=r"holds a model already\. .*--overwrite=true"):
        convert(source, tmp_path / "out", "tf1")
    for layout in LAYOUTS:  # asked for, an older conversion is replaced, whatever its layout
        convert(source, tmp_path / "out", layout, overwrite=True)
        assert find(tmp_path / "out").stored.layout == layout
    # A folder of the same name as one of a model's holds what it holds.
    for name in ("assets", "variables"):
        (tmp_path / "site" / name).mkdir(parents=True)
        (tmp_path / "site" / name / "photo.jpg").write_bytes(b"mine")
    (tmp_path / "site" / "config.json").write_text("{}")
    with pytest.raises(InputError, match=r"holds other files \(assets, variables\)"):
        convert(source, tmp_path / "site", "tf1", overwrite=True)
    convert(source, tmp_path / "saved", "savedmodel")
    (tmp_path / "saved" / "assets" / "photo.jpg").write_bytes(b"mine")
    with pytest.raises(InputError, match=r"holds other files \(assets/photo\.jpg\)"):
        convert(source, tmp_path / "saved", "tf1", overwrite=True)
    with pytest.raises(InputError, match="is, or holds, the folder of the source"):
        convert(source, tmp_path, "tf1", overwrite=True)


def test_the_working_folder_and_a_link_are_no_targets(golden, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    monkeypatch.chdir(tmp_path / "here")
    for target, said in ((".", "is, or holds, the working folder"), (tmp_path / "link", "is a link")):
        with pytest.raises(InputError, match=said):
            convert(golden / "google_1group", target, "tf1")


def test_lower_casing_and_the_names_of_classes_go_along_or_are_listed(tiny_config, vocabulary, tmp_path, capsys):
    model = randomised(AlbertForClassification(tiny_config(family="google"), 2))
    layouts.save_pretrained(model, tmp_path / "a", vocabulary=vocabulary)
    convert(tmp_path / "a", tmp_path / "cased", "huggingface", do_lower_case=False)
    config = json.loads((tmp_path / "cased" / "config.json").read_text(encoding="utf-8"))
    (tmp_path / "cased" / "config.json").write_text(
        json.dumps(config | {"id2label": {"0": "差评", "1": "好评"}}), encoding="utf-8"
    )
    convert(tmp_path / "cased", tmp_path / "again", "huggingface")
    written = json.loads((tmp_path / "again" / "config.json").read_text(encoding="utf-8"))
    assert written["id2label"] == {"0": "差评", "1": "好评"}
    assert json.loads((tmp_path / "again" / "tokenizer_config.json").read_text())["do_lower_case"] is False
    capsys.readouterr()
    convert(tmp_path / "cased", tmp_path / "tf1", "tf1")
    said = capsys.readouterr().out
    assert "not carried over: the names of the classes, 差评, 好评" in said
    assert "not in it: that its tokenizer keeps capitals" in said
    convert(tmp_path / "cased", tmp_path / "saved", "savedmodel")
    convert(tmp_path / "saved", tmp_path / "back", "huggingface")
    assert json.loads((tmp_path / "back" / "tokenizer_config.json").read_text())["do_lower_case"] is False


@pytest.mark.parametrize("about", ["[1, 2]", '{"label_names": 5}', '{"lower_case": "no"}'])
def test_a_task_json_that_is_none_is_refused(about, finetuned, tmp_path):
    (finetuned / "task.json").write_text(about)
    with pytest.raises(InputError, match=r"not an object|its label names are no texts"):
        convert(finetuned, tmp_path / "out", "tf2")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("options", [{"random_seed": -1}, {"vocab_file": "a", "spm_model_file": "b"}])
def test_options_without_sense_are_refused(options):
    with pytest.raises(InputError, match=r"must be 0 or more|give the one that belongs"):
        ConvertOptions(source="a", target="b", to="tf1", **options)


def test_everybody_may_read_what_is_written(golden, tmp_path):
    for layout in LAYOUTS:
        convert(golden / "google_1group", tmp_path / layout, layout)
        modes = {path.name: path.stat().st_mode & 0o044 for path in (tmp_path / layout).rglob("*")}
        assert set(modes.values()) == {0o044}, modes


def test_weights_of_half_of_the_vocabulary_are_refused_before_anything_is_written(golden, tmp_path):
    config = dataclasses.replace(AlbertConfig.from_json(golden / "google_1group" / "albert_config.json"), vocab_size=99)
    config.to_json(tmp_path / "c.json")
    with pytest.raises(InputError, match=r"another size: bert/embeddings/word_embeddings is \[211, 16\]"):
        convert(golden / "google_1group", tmp_path / "out", "tf2", bert_config_file=str(tmp_path / "c.json"))
    assert [path.name for path in tmp_path.iterdir()] == ["c.json"]
