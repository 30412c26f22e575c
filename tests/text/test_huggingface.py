"""The tokenizer files of a Hugging Face folder: what stands in them, and what is refused. Nothing reads them here."""

import base64
import json
import struct
from pathlib import Path

import pytest

from albert_zh.files import InputError
from albert_zh.text.huggingface import write_tokenizer_files
from albert_zh.text.tokenizer import load_tokenizer

REPOSITORY = Path(__file__).parent.parent.parent
GOLDEN = REPOSITORY / "tests" / "golden" / "tokenization_vocab.txt"
SHIPPED = REPOSITORY / "albert_config" / "vocab.txt"
WORDPIECE = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
SENTENCEPIECE = ("<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]")
NAMES = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")


def write(folder, vocabulary, lower_case=True, max_length=512):
    """tokenizer.json and tokenizer_config.json as they were written."""
    names = write_tokenizer_files(folder, vocabulary, lower_case=lower_case, max_length=max_length)
    assert sorted(names) == sorted(path.name for path in folder.iterdir())
    return (json.loads((folder / name).read_text(encoding="utf-8")) for name in names[1:])


def train(folder, **changes):
    """A SentencePiece model of a few words, some of them numbers with a comma."""
    import sentencepiece

    text = folder / "text.txt"
    words = "the model reads 2000, words and learns 15, pieces - it is ( small ) . hello world yes".split()
    text.write_text("\n".join(" ".join(words[i % 7 :] + words[: i % 5]) for i in range(200)))
    settings = {
        "input": str(text),
        "model_prefix": str(folder / "spm"),
        "vocab_size": 90,
        "hard_vocab_limit": False,
        "pad_id": 0,
        "unk_id": 1,
        "bos_id": -1,
        "eos_id": -1,
        "pad_piece": "<pad>",
        "control_symbols": "[CLS],[SEP],[MASK]",
        "user_defined_symbols": "(,),-,.",
        "minloglevel": 2,
        "num_threads": 1,
    }
    sentencepiece.SentencePieceTrainer.train(**(settings | changes))
    return folder / "spm.model"


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    return train(tmp_path_factory.mktemp("sentencepiece"))


# ------------------------------------------------------------------------------------------------------------ WordPiece


@pytest.mark.parametrize("vocabulary", [GOLDEN, SHIPPED], ids=["golden", "shipped"])
def test_the_entries_are_those_of_the_vocabulary_in_its_order(tmp_path, vocabulary):
    pipeline, _ = write(tmp_path, vocabulary)
    assert (tmp_path / "vocab.txt").read_bytes() == vocabulary.read_bytes()
    tokenizer = load_tokenizer(vocabulary)
    assert list(pipeline["model"]["vocab"]) == tokenizer.tokens(range(tokenizer.vocab_size))
    assert list(pipeline["model"]["vocab"].values()) == list(range(tokenizer.vocab_size))


@pytest.mark.parametrize("vocabulary", [GOLDEN, SHIPPED], ids=["golden", "shipped"])
def test_special_tokens_have_the_ids_of_their_lines(tmp_path, vocabulary):
    pipeline, settings = write(tmp_path, vocabulary)
    ids = dict(zip(WORDPIECE, load_tokenizer(vocabulary).token_ids(WORDPIECE), strict=True))
    assert {token["content"]: token["id"] for token in pipeline["added_tokens"]} == ids
    assert all(token["special"] and not token["normalized"] for token in pipeline["added_tokens"])
    framing = pipeline["post_processor"]["special_tokens"]
    assert {name: token["ids"] for name, token in framing.items()} == {n: [ids[n]] for n in ("[CLS]", "[SEP]")}
    assert tuple(settings[name] for name in NAMES) == WORDPIECE
    assert pipeline["model"]["unk_token"] == "[UNK]"


def test_special_tokens_may_stand_anywhere_and_in_any_order(tmp_path):
    vocabulary = tmp_path / "words.txt"
    vocabulary.write_text("天\n[SEP]\n[MASK]\n地\n[UNK]\n[CLS]\n人\n[PAD]\n", encoding="utf-8")
    pipeline, _ = write(tmp_path / "folder", vocabulary)
    added = [(token["id"], token["content"]) for token in pipeline["added_tokens"]]
    assert added == [(1, "[SEP]"), (2, "[MASK]"), (4, "[UNK]"), (5, "[CLS]"), (7, "[PAD]")]


@pytest.mark.parametrize("lower_case", [True, False])
def test_case_and_accents_follow_lower_case(tmp_path, lower_case):
    pipeline, settings = write(tmp_path, GOLDEN, lower_case)
    normalizer = pipeline["normalizer"]
    assert (normalizer["lowercase"], normalizer["strip_accents"]) == (lower_case, None)
    assert normalizer["clean_text"]
    assert normalizer["handle_chinese_chars"]
    assert (settings["do_lower_case"], settings["strip_accents"]) == (lower_case, None)


def test_the_class_the_length_and_the_segments_are_said(tmp_path):
    pipeline, settings = write(tmp_path, GOLDEN, max_length=37)
    assert settings["tokenizer_class"] == "BertTokenizer"
    assert settings["model_max_length"] == 37
    assert "token_type_ids" in settings["model_input_names"]
    assert pipeline["model"]["max_input_chars_per_word"] == 200


def test_the_second_text_of_a_pair_and_its_separator_are_segment_1(tmp_path):
    pipeline, _ = write(tmp_path, GOLDEN)

    def parts(template):
        return [(part["id"], part["type_id"]) for item in template for part in item.values()]

    single = [("[CLS]", 0), ("A", 0), ("[SEP]", 0)]
    assert parts(pipeline["post_processor"]["single"]) == single
    assert parts(pipeline["post_processor"]["pair"]) == [*single, ("B", 1), ("[SEP]", 1)]


def test_a_vocabulary_from_windows_gives_the_same_entries(tmp_path):
    vocabulary = tmp_path / "words.txt"
    vocabulary.write_bytes("\ufeff[PAD]\r\n[UNK]\r\n[CLS]\r\n[SEP]\r\n[MASK]\r\n天 \r\n\u2028\r\n\r\n".encode())
    pipeline, _ = write(tmp_path / "folder", vocabulary)
    assert list(pipeline["model"]["vocab"]) == [*WORDPIECE, "天", "\u2028"]
    assert load_tokenizer(vocabulary).tokens(range(7)) == [*WORDPIECE, "天", "\u2028"]


# -------------------------------------------------------------------------------------------------------- SentencePiece


def test_the_pieces_are_those_of_the_model_but_none_ends_in_a_number_and_a_comma(tmp_path, model_file):
    import sentencepiece

    pipeline, settings = write(tmp_path, model_file)
    assert (tmp_path / "spiece.model").read_bytes() == model_file.read_bytes()
    model = sentencepiece.SentencePieceProcessor(model_file=str(model_file))
    scores = {model.id_to_piece(i): model.get_score(i) for i in range(model.get_piece_size())}
    apart = {piece for piece in scores if piece[-1] == "," and piece[-2:-1].isdigit()}
    assert "▁2000," in apart
    assert pipeline["model"]["vocab"] == [[piece, scores[piece] - 100 * (piece in apart)] for piece in scores]
    assert settings["tokenizer_class"] == "AlbertTokenizer"
    assert "token_type_ids" in settings["model_input_names"]
    assert tuple(settings[name] for name in NAMES) == SENTENCEPIECE
    assert [(token["id"], token["content"]) for token in pipeline["added_tokens"]] == list(enumerate(SENTENCEPIECE))


@pytest.mark.parametrize("lower_case", [True, False])
def test_text_is_cleaned_as_albert_did_and_then_by_the_model(tmp_path, model_file, lower_case):
    pipeline, settings = write(tmp_path, model_file, lower_case)
    *cleaning, last = pipeline["normalizer"]["normalizers"]
    lower = ["Lowercase"] if lower_case else []
    assert [step["type"] for step in cleaning] == ["Replace", "Replace", "NFKD", "StripAccents", *lower]
    character_map = base64.b64decode(last["precompiled_charsmap"])
    assert len(character_map) > 100_000
    assert character_map in model_file.read_bytes()
    assert settings["do_lower_case"] == lower_case


def test_a_model_without_a_character_map_has_no_such_step(tmp_path):
    pipeline, _ = write(tmp_path / "folder", train(tmp_path, normalization_rule_name="identity"))
    assert pipeline["normalizer"]["normalizers"][-1] == {"type": "Lowercase"}


def test_an_unknown_piece_elsewhere_than_albert_s_is_found(tmp_path):
    symbols = {"control_symbols": "<pad>,[CLS],[SEP],[MASK]", "pad_id": -1, "unk_id": 0}
    pipeline, settings = write(tmp_path / "folder", train(tmp_path, **symbols))
    assert pipeline["model"]["unk_id"] == 0
    assert settings["tokenizer_class"] == "PreTrainedTokenizerFast"


# ------------------------------------------------------------------------------------------------------------- refusals


def refused(folder, vocabulary):
    with pytest.raises(InputError) as caught:
        write_tokenizer_files(folder, vocabulary, lower_case=True, max_length=512)
    assert not folder.exists()
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[PAD]\n天\n地\n天\n", "vocab.txt:4: token '天' is there already (line 2). Each token must have one line"),
        ("[PAD]\n\n天\n", "vocab.txt:2: the entry is empty. Each line must hold one token"),
        ("[PAD]\n[UNK]\n[CLS]\n[SEP]\n", "vocab.txt: the special token [MASK] is missing among 4 entries. Use the"),
        ("", "vocab.txt: the vocabulary is empty"),
        (b"[PAD]\n\xd6\xd0\n", "vocab.txt:2: not UTF-8"),
    ],
)
def test_a_vocabulary_that_no_tokenizer_can_use_is_refused(tmp_path, content, message):
    vocabulary = tmp_path / "vocab.txt"
    vocabulary.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert message in refused(tmp_path / "folder", vocabulary)


@pytest.mark.parametrize("name", ["nowhere.txt", "nowhere.model"])
def test_a_missing_file_is_named(tmp_path, name):
    assert f"{tmp_path / name}: cannot be read: No such file" in refused(tmp_path / "folder", tmp_path / name)


def test_what_is_no_sentence_piece_model_is_refused(tmp_path, model_file):
    broken = tmp_path / "broken.model"
    whole = model_file.read_bytes()
    for content in (b"", b"no model at all", bytes(100), whole[:200], SHIPPED.read_bytes(), b"\x08\x01", b"\x0a"):
        broken.write_bytes(content)
        assert "broken.model: not a SentencePiece model" in refused(tmp_path / "folder", broken)


def test_a_sentence_piece_model_of_another_kind_is_refused(tmp_path):
    model = train(tmp_path, model_type="bpe")
    assert "spm.model: a SentencePiece model of another kind" in refused(tmp_path / "folder", model)
    model = train(tmp_path, byte_fallback=True, vocab_size=400)
    assert "spm.model: a SentencePiece model of another kind" in refused(tmp_path / "folder", model)
    model = train(tmp_path, control_symbols="[CLS],[SEP]")
    assert "spm.model: the special token [MASK] is missing" in refused(tmp_path / "folder", model)


def test_a_model_is_read_as_protobuf_says(tmp_path):
    def field(number, content):
        return bytes([number << 3 | 2, len(content)]) + content

    def piece(text, score=None):
        # A score that is left out is 0; field 200, of a kind to come, is passed over.
        known = field(1, text.encode()) + (b"" if score is None else b"\x15" + struct.pack("<f", score))
        return field(1, known + b"\xc1\x0c" + bytes(8))

    model = tmp_path / "hand.model"
    model.write_bytes(b"".join(map(piece, SENTENCEPIECE)) + piece("▁天", -2.5) + piece("9,", -3.0))
    pipeline, _ = write(tmp_path / "folder", model)
    assert pipeline["model"]["vocab"] == [*([token, 0.0] for token in SENTENCEPIECE), ["▁天", -2.5], ["9,", -103.0]]


def test_files_that_stand_there_are_replaced_and_the_source_may_be_one_of_them(tmp_path):
    vocabulary = tmp_path / "vocab.txt"
    vocabulary.write_bytes(GOLDEN.read_bytes())
    first = [json.dumps(value) for value in write(tmp_path, vocabulary)]
    assert [json.dumps(value) for value in write(tmp_path, vocabulary)] == first
    assert vocabulary.read_bytes() == GOLDEN.read_bytes()
