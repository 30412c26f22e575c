"""Models written here, run by transformers; models written by transformers, run here: the same numbers."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import torch
import transformers
from keras import ops

from albert_zh import conversion, load_pretrained, save_pretrained
from albert_zh.config import AlbertConfig
from albert_zh.convert.options import ConvertOptions
from albert_zh.convert.torch_file import read_arrays
from albert_zh.convert.weights import variable_names
from albert_zh.files import InputError
from albert_zh.models.heads import AlbertForClassification, AlbertForPretraining, AlbertModel
from albert_zh.pretrained import find, load
from albert_zh.serve.classifier import Classifier
from albert_zh.text.tokenizer import load_tokenizer

REPOSITORY = Path(__file__).parent.parent.parent
GOLDEN = ["brightmart_postln", "google_1group", "google_2groups_2inner"]
PAIRS = [
    ("我喜欢妈妈做的汤", "妈妈做的汤我很喜欢喝"),
    ("今天天气怎么样", "明天会下雨吗？"),
    ("研究生命的起源，", "我用iPhone搜索中华人民共和国"),
    ("花呗怎么还款", "支付宝的花呗，如何还款"),
    ("中", "国"),
]


def log_softmax(logits):
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def softmax(logits):
    return np.exp(log_softmax(logits))


def their_inputs(batch):
    names = {"input_ids": "input_ids", "attention_mask": "input_mask", "token_type_ids": "segment_ids"}
    return {theirs: torch.tensor(np.asarray(batch[ours], np.int64)) for theirs, ours in names.items()}


def run_theirs(model, batch):
    """Outputs of a transformers model, as arrays."""
    with torch.no_grad():
        outputs = model.eval()(**their_inputs(batch))
    return {name: array.float().numpy() for name, array in outputs.items()}


def run_ours(model, batch):
    """Outputs of a model of this project, masked-LM logits at every position."""
    given = {name: np.asarray(batch[name], np.int32) for name in ("input_ids", "input_mask", "segment_ids")}
    if isinstance(model, AlbertForPretraining):
        rows, length = given["input_ids"].shape
        given["masked_lm_positions"] = np.tile(np.arange(length, dtype=np.int32), (rows, 1))
    return {name: ops.convert_to_numpy(array) for name, array in model(given).items()}


def random_batch(vocabulary, length=24, seed=0):
    dice = np.random.default_rng(seed)
    return {
        "input_ids": dice.integers(5, vocabulary, (3, length)),
        "input_mask": np.arange(length) < np.array([[length], [length * 2 // 3], [3]]),
        "segment_ids": np.arange(length) > np.array([[9], [5], [1]]),
    }


def quiet_load(path, **kwargs):
    return load_pretrained(path, say=lambda _: None, **kwargs)


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory):
    """211 entries, as many as the golden models know: the shipped vocabulary's first, with all of PAIRS."""
    shipped = (REPOSITORY / "albert_config" / "vocab.txt").read_text(encoding="utf-8").splitlines()
    needed = {character for pair in PAIRS for text in pair for character in text if not character.isascii()}
    needed |= {"iphone", "##phone", "i", "##p", "##h", "##o", "##n", "##e"} | {f"##{c}" for c in sorted(needed)[:9]}
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    entries = [*special, *(entry for entry in shipped if entry in needed and entry not in special)]
    entries += [entry for entry in shipped if len(entry) == 1 and entry > "一" and entry not in needed][
        : 211 - len(entries)
    ]
    path = tmp_path_factory.mktemp("vocabulary") / "vocab.txt"
    path.write_text("\n".join(entries) + "\n", encoding="utf-8")
    assert len(set(entries)) == len(entries) == 211
    return path


# -------------------------------------------------------------------------------------------------- from here to there


@pytest.fixture(scope="module", params=GOLDEN)
def converted(request, golden, vocabulary, tmp_path_factory):
    """(folder that convert wrote, reference numbers of the published code, golden folder)"""
    source = golden / request.param
    folder = tmp_path_factory.mktemp("converted") / "model"
    conversion.run(ConvertOptions(source=str(source), target=str(folder), to="huggingface", vocab_file=str(vocabulary)))
    return folder, dict(np.load(source / "expected.npz")), source


def test_auto_model_gives_the_hidden_states_of_the_published_code(converted):
    folder, expected, _ = converted
    model, report = transformers.AutoModel.from_pretrained(folder, output_loading_info=True)
    assert isinstance(model, transformers.AlbertModel)
    assert not report["missing_keys"]
    outputs = run_theirs(model, expected)
    np.testing.assert_allclose(outputs["last_hidden_state"], expected["sequence_output"], atol=1e-5, rtol=0)
    np.testing.assert_allclose(outputs["pooler_output"], expected["pooled_output"], atol=1e-5, rtol=0)


def at_positions(logits, expected):
    rows = np.arange(len(logits))[:, None]
    return log_softmax(logits[rows, expected["masked_lm_positions"]]).reshape(expected["mlm_log_probs"].shape)


def test_its_heads_give_the_log_probabilities_of_the_published_code(converted):
    folder, expected, _ = converted
    model, report = transformers.AlbertForPreTraining.from_pretrained(folder, output_loading_info=True)
    assert not any(report.values())
    outputs = run_theirs(model, expected)
    mlm = at_positions(outputs["prediction_logits"], expected)
    np.testing.assert_allclose(mlm, expected["mlm_log_probs"], atol=1e-4, rtol=0)
    np.testing.assert_allclose(log_softmax(outputs["sop_logits"]), expected["sop_log_probs"], atol=1e-4, rtol=0)
    model, report = transformers.AutoModelForMaskedLM.from_pretrained(folder, output_loading_info=True)
    assert isinstance(model, transformers.AlbertForMaskedLM)
    assert not report["missing_keys"]
    mlm = at_positions(run_theirs(model, expected)["logits"], expected)
    np.testing.assert_allclose(mlm, expected["mlm_log_probs"], atol=1e-4, rtol=0)


def test_auto_config_has_the_network_s_shape(converted):
    folder, _, source = converted
    theirs, ours = transformers.AutoConfig.from_pretrained(folder), find(folder).config
    published = AlbertConfig.from_json(source / "albert_config.json")
    same = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
    same += ("num_hidden_groups", "inner_group_num", "max_position_embeddings", "layer_norm_eps")
    assert {name: getattr(theirs, name) for name in same} == {name: getattr(published, name) for name in same}
    assert theirs.hidden_act == "gelu_new"
    # brightmart's becomes the network whose embeddings are as wide as it.
    assert theirs.embedding_size == ours.embedding_size == (48 if published.family == "brightmart" else 16)


def test_fill_mask_answers_what_the_source_answers(converted, vocabulary):
    folder, _, source = converted
    fill = transformers.pipeline("fill-mask", model=str(folder), tokenizer=str(folder), device="cpu")
    tokenizer, model = load_tokenizer(vocabulary), quiet_load(source)
    for text in ("今天天[MASK]怎么样", "我喜欢妈妈[MASK]的汤", "[MASK]国"):
        first, second = (tokenizer.encode(part).ids for part in text.split("[MASK]"))
        ids = [tokenizer.cls_id, *first, tokenizer.mask_id, *second, tokenizer.sep_id]
        batch = {"input_ids": [ids], "input_mask": np.ones((1, len(ids))), "segment_ids": np.zeros((1, len(ids)))}
        ours = softmax(run_ours(model, batch)["mlm_logits"][0, 1 + len(first)])
        order = np.argsort(-ours)[:5]
        answers = fill(text, top_k=5)
        assert [answer["token"] for answer in answers] == order.tolist()
        assert [answer["token_str"] for answer in answers] == tokenizer.tokens(order)
        np.testing.assert_allclose([answer["score"] for answer in answers], ours[order], atol=1e-5)


@pytest.mark.parametrize("family", ["google", "brightmart"])
@pytest.mark.parametrize(
    ("task", "labels"),
    [
        ("lcqmc", (["0", "1"], ["different", "same"])),
        ("ocnli", (["entailment", "neutral", "contradiction"], ["entailment", "neutral", "contradiction"])),
    ],
)
def test_a_fine_tuned_folder_answers_as_it_does_here_with_label_names(
    task, labels, family, vocabulary, tmp_path, tiny_config
):
    config = tiny_config(family=family, vocab_size=211, initializer_range=0.8)
    model = AlbertForClassification(config, len(labels[0]), seed=3)
    tuned = tmp_path / "tuned"
    save_pretrained(model, tuned, vocabulary=vocabulary)
    about = {
        "task": task,
        "kind": "pair",
        "labels": labels[0],
        "label_names": labels[1],
        "max_seq_length": 64,
        "lower_case": True,
        "tokenizer": "wordpiece",
    }
    (tuned / "task.json").write_text(json.dumps(about), encoding="utf-8")
    expected = Classifier(tuned).predict(PAIRS)
    conversion.run(ConvertOptions(source=str(tuned), target=str(tmp_path / "out"), to="huggingface"))

    theirs, report = transformers.AutoModelForSequenceClassification.from_pretrained(
        tmp_path / "out", output_loading_info=True
    )
    assert isinstance(theirs, transformers.AlbertForSequenceClassification)
    assert not any(report.values())
    assert theirs.config.id2label == dict(enumerate(labels[1]))
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    with torch.no_grad():
        logits = theirs(**tokenizer(*map(list, zip(*PAIRS, strict=True)), padding=True, return_tensors="pt")).logits
    probabilities = softmax(logits.numpy())
    np.testing.assert_allclose(probabilities, [p.probabilities for p in expected], atol=1e-5)
    assert np.ptp(probabilities, axis=0).max() > 0.05  # random weights, but not one answer to everything

    classify = transformers.pipeline("text-classification", model=str(tmp_path / "out"), device="cpu")
    for (first, second), answer in zip(PAIRS, expected, strict=True):
        (best,) = classify([{"text": first, "text_pair": second}])
        number = labels[0].index(answer.label)
        assert best["label"] == labels[1][number]
        assert best["score"] == pytest.approx(answer.probabilities[number], abs=1e-5)
    # The folder written answers here too.
    again = Classifier(tmp_path / "out").predict(PAIRS)
    np.testing.assert_allclose([p.probabilities for p in again], [p.probabilities for p in expected], atol=1e-5)


def test_a_classifier_saved_without_label_names_opens_with_its_classes(tiny_config, tmp_path):
    model = AlbertForClassification(tiny_config(family="google", initializer_range=0.3), 5)
    save_pretrained(model, tmp_path / "out", layout="huggingface")
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    assert theirs.config.id2label == {number: f"LABEL_{number}" for number in range(5)}
    batch = random_batch(40)
    np.testing.assert_allclose(run_theirs(theirs, batch)["logits"], run_ours(model, batch)["logits"], atol=1e-5)


@pytest.mark.parametrize("activation", ["gelu", "gelu_new", "gelu_exact", "relu", "tanh"])
def test_every_activation_is_the_same_function_there(activation, tiny_config, tmp_path):
    model = AlbertForPretraining(tiny_config(family="google", hidden_act=activation, initializer_range=0.5))
    save_pretrained(model, tmp_path / "out", layout="huggingface")
    theirs, batch = transformers.AlbertForPreTraining.from_pretrained(tmp_path / "out"), random_batch(40)
    expected, outputs = run_ours(model, batch), run_theirs(theirs, batch)
    np.testing.assert_allclose(outputs["prediction_logits"], expected["mlm_logits"], atol=1e-4)
    np.testing.assert_allclose(outputs["sop_logits"], expected["sop_logits"], atol=1e-4)


# -------------------------------------------------------------------------------------------------- from there to here

CLASSES = {
    "AlbertForPreTraining": (transformers.AlbertForPreTraining, AlbertForPretraining),
    "AlbertForMaskedLM": (transformers.AlbertForMaskedLM, AlbertForPretraining),
    "AlbertForSequenceClassification": (transformers.AlbertForSequenceClassification, AlbertForClassification),
    "AlbertModel": (transformers.AlbertModel, AlbertModel),
}
OUTPUTS = {
    "last_hidden_state": "sequence_output",
    "pooler_output": "pooled_output",
    "prediction_logits": "mlm_logits",
    "sop_logits": "sop_logits",
}


def their_model(kind, *, groups=1, inner=1, layers=4, activation="gelu_new", seed=0, **changes):
    """A random model of transformers, biases and norms random too."""
    config = transformers.AlbertConfig(
        vocab_size=97,
        embedding_size=12,
        hidden_size=32,
        num_attention_heads=4,
        intermediate_size=40,
        max_position_embeddings=48,
        num_hidden_layers=layers,
        num_hidden_groups=groups,
        inner_group_num=inner,
        hidden_act=activation,
        hidden_dropout_prob=0.1,
        attention_probs_dropout_prob=0.1,
        **changes,
    )
    torch.manual_seed(seed)
    model = CLASSES[kind][0](config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(float("norm" in name.lower() and name.endswith("weight")), 0.15)
    return model


def write_theirs(model, folder, how):
    """Saves a transformers model the ways people do."""
    model.save_pretrained(folder)
    if how != "safetensors":
        (folder / "model.safetensors").unlink()
        options = {"2019": {"_use_new_zipfile_serialization": False}, "zip": {}, "checkpoint": {}}[how]
        state = model.state_dict()
        saved = {"epoch": 2, "loss": 0.5, "state_dict": state} if how == "checkpoint" else state
        torch.save(saved, folder / "pytorch_model.bin", **options)


def assert_same_outputs(theirs, ours, kind, atol=1e-5):
    batch = random_batch(97)
    expected, outputs = run_theirs(theirs, batch), run_ours(ours, batch)
    names = dict(OUTPUTS)
    if kind == "AlbertForMaskedLM":
        names["logits"] = "mlm_logits"
    if kind == "AlbertForSequenceClassification":
        names["logits"] = "logits"
    assert expected.keys() <= names.keys()
    for name, array in expected.items():
        scale = max(1.0, np.abs(array).max())
        np.testing.assert_allclose(outputs[names[name]], array, atol=atol * scale, rtol=0, err_msg=name)
        assert array.std() > 0.01


@pytest.mark.parametrize("how", ["safetensors", "zip", "2019", "checkpoint"])
@pytest.mark.parametrize("kind", CLASSES)
def test_a_model_of_transformers_loads_and_computes_the_same(kind, how, tmp_path):
    theirs = their_model(kind, **({"num_labels": 3} if kind == "AlbertForSequenceClassification" else {}))
    write_theirs(theirs, tmp_path / "theirs", how)
    ours, report = load(find(tmp_path / "theirs"), bare=True)
    assert type(ours) is CLASSES[kind][1]
    assert report.unused == ()
    fresh = {name for name in report.missing if not name.startswith("bert/pooler/")}
    # A masked-LM model has neither a pooler nor the sentence-order head.
    assert len(report.missing) == (4 if kind == "AlbertForMaskedLM" else 0)
    assert all(name.startswith("cls/seq_relationship/") for name in fresh)
    assert_same_outputs(theirs, ours, kind)


@pytest.mark.parametrize("activation", ["gelu", "gelu_new", "relu", "tanh"])
@pytest.mark.parametrize(("layers", "groups", "inner"), [(4, 1, 1), (4, 2, 1), (3, 1, 2), (6, 3, 2), (5, 3, 1)])
def test_any_sharing_and_activation_computes_the_same(layers, groups, inner, activation, tmp_path):
    theirs = their_model("AlbertForPreTraining", layers=layers, groups=groups, inner=inner, activation=activation)
    theirs.save_pretrained(tmp_path / "theirs")
    ours = quiet_load(tmp_path / "theirs")
    assert_same_outputs(theirs, ours, "AlbertForPreTraining", atol=3e-5)
    # And back: their names, shapes and bits.
    save_pretrained(ours, tmp_path / "back", layout="huggingface")
    before, after = (safetensors.numpy.load_file(tmp_path / name / "model.safetensors") for name in ("theirs", "back"))
    assert before.keys() == after.keys()
    assert all(before[name].tobytes() == after[name].tobytes() for name in before)
    again, report = transformers.AlbertForPreTraining.from_pretrained(tmp_path / "back", output_loading_info=True)
    assert not any(report.values())
    assert again.config.hidden_act == activation


@pytest.mark.parametrize("how", ["safetensors", "zip", "2019"])
@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_compute_what_their_rounded_weights_do(precision, how, tmp_path):
    theirs = their_model("AlbertForPreTraining").to(precision)
    write_theirs(theirs, tmp_path / "theirs", how)
    ours = quiet_load(tmp_path / "theirs")
    name = "bert/embeddings/word_embeddings"
    rounded = theirs.albert.embeddings.word_embeddings.weight.float()
    np.testing.assert_array_equal(ops.convert_to_numpy(variable_names(ours)[name]), rounded.detach().numpy())
    assert_same_outputs(theirs.float(), ours, "AlbertForPreTraining")


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_views_and_shared_storages_of_torch_are_read_exactly(protocol, tmp_path):
    whole = torch.arange(24.0).reshape(4, 6)
    tensors = {
        "whole": whole,
        "transposed": whole.T,
        "slice": whole[1:3, ::2],
        "expanded": torch.arange(3.0).expand(5, 3),
        "scalar": torch.tensor(7.5),
        "empty": torch.zeros(0, 3),
        "end": whole[4:],
        "row": whole[2],
        "half": torch.arange(5).to(torch.float16),
        "brain": torch.arange(5).to(torch.bfloat16),
        "long": torch.tensor([-(2**62), 3]),
        "bool": torch.tensor([True, False]),
        "byte": torch.tensor([255, 0], dtype=torch.uint8),
        "parameter": torch.nn.Parameter(torch.ones(2)),
    }
    for zipped in (True, False):
        path = tmp_path / "m.bin"
        torch.save(tensors, path, pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
        arrays = read_arrays(path)
        assert arrays.keys() == tensors.keys()
        for name, tensor in tensors.items():
            assert arrays[name].shape == tuple(tensor.shape), name
            np.testing.assert_array_equal(arrays[name].astype(np.float64), tensor.detach().double().numpy(), name)
        assert arrays["long"].dtype == np.int64
        assert arrays["half"].dtype == np.float16


@pytest.mark.parametrize("zipped", [True, False])
def test_a_whole_model_saved_by_torch_is_refused_with_its_class(zipped, tmp_path):
    path = tmp_path / "pytorch_model.bin"
    torch.save(their_model("AlbertModel"), path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(
        InputError, match=r"asks for transformers\.models\.albert\.modeling_albert\.AlbertModel.*state_dict"
    ):
        read_arrays(path)


def test_a_bert_of_transformers_is_called_one(tmp_path):
    config = transformers.BertConfig(
        vocab_size=20, hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=8
    )
    for kind in (transformers.BertModel, transformers.BertForMaskedLM):
        kind(config).save_pretrained(tmp_path / kind.__name__)
        with pytest.raises(InputError, match="this is a BERT or one of its kin"):
            quiet_load(tmp_path / kind.__name__)


def test_a_config_that_transformers_fills_in_is_read_as_it_means_it(tmp_path):
    # A file says only what differs; what is left out is transformers' default, as for the activation.
    theirs = their_model("AlbertModel")
    theirs.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    for key in ("hidden_act", "layer_norm_eps", "num_hidden_groups", "inner_group_num", "type_vocab_size"):
        del config[key]
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    theirs = transformers.AutoModel.from_pretrained(tmp_path)
    assert_same_outputs(theirs, load(find(tmp_path), bare=True)[0], "AlbertModel")


# -------------------------------------------------------------------------------------------------------------- English


@pytest.fixture(scope="module")
def pieces(tmp_path_factory):
    import sentencepiece

    folder = tmp_path_factory.mktemp("sentencepiece")
    words = "the model reads 2000, words and learned 15, pieces - it's ( small ) . hello world yes 1997, in".split()
    (folder / "text.txt").write_text("\n".join(" ".join(words[i % 7 :] + words[: i % 5]) for i in range(200)))
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "text.txt"),
        model_prefix=str(folder / "spm"),
        vocab_size=110,
        hard_vocab_limit=False,
        pad_id=0,
        unk_id=1,
        bos_id=-1,
        eos_id=-1,
        pad_piece="<pad>",
        control_symbols="[CLS],[SEP],[MASK]",
        user_defined_symbols='(,),",-,.,–,£,€',
        minloglevel=2,
        num_threads=1,
    )
    return folder / "spm.model"


def test_an_english_model_with_its_pieces_goes_both_ways(pieces, tmp_path):
    config = transformers.AlbertConfig(
        vocab_size=30000,
        embedding_size=16,
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=64,
        initializer_range=0.3,
    )
    torch.manual_seed(1)
    theirs = transformers.AlbertModel(config).eval()
    theirs.save_pretrained(tmp_path / "theirs")
    shutil.copy(pieces, tmp_path / "theirs" / "spiece.model")
    source = find(tmp_path / "theirs")
    assert source.vocabularies == (tmp_path / "theirs" / "spiece.model",)
    conversion.run(ConvertOptions(source=str(tmp_path / "theirs"), target=str(tmp_path / "tf1"), to="tf1"))
    conversion.run(ConvertOptions(source=str(tmp_path / "tf1"), target=str(tmp_path / "back"), to="huggingface"))
    ours = load(find(tmp_path / "tf1"), bare=True)[0]
    again, report = transformers.AutoModel.from_pretrained(tmp_path / "back", output_loading_info=True)
    assert not any(report.values())
    tokenizer, mine = transformers.AutoTokenizer.from_pretrained(tmp_path / "back"), load_tokenizer(None, pieces)
    assert isinstance(tokenizer, transformers.AlbertTokenizer)
    texts = ["the model reads 2000, words", "Hello world, it's small - in 1997, ( yes )."]
    given = tokenizer(texts, padding=True, return_tensors="pt")
    length = given["input_ids"].shape[1]
    for row, text in enumerate(texts):
        ids = [mine.cls_id, *mine.encode(text).ids, mine.sep_id]
        assert given["input_ids"][row].tolist() == ids + [mine.pad_id] * (length - len(ids))
    batch = {
        "input_ids": given["input_ids"].numpy(),
        "input_mask": given["attention_mask"].numpy(),
        "segment_ids": given["token_type_ids"].numpy(),
    }
    expected, outputs = run_theirs(theirs, batch), run_ours(ours, batch)
    for name in ("last_hidden_state", "pooler_output"):
        np.testing.assert_allclose(run_theirs(again, batch)[name], expected[name], atol=1e-6, err_msg=name)
        np.testing.assert_allclose(outputs[OUTPUTS[name]], expected[name], atol=1e-5, err_msg=name)
