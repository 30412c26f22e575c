"""The tokenizer files of a Hugging Face folder, written without its packages, for ``AutoTokenizer`` to read.

``tokenizer.json`` says everything and holds for whoever loads it as it is. BertTokenizer and AlbertTokenizer of
transformers 5 take little more than its vocabulary and build the rest anew, as ``tokenizer_config.json`` says.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from albert_zh.files import InputError, atomic_writer, write_json
from albert_zh.text import sentence_piece, wordpiece
from albert_zh.text.sentence_piece import ends_in_number_and_comma

# Numbers of fields and of enumerations in sentencepiece_model.proto.
_PIECES, _TRAINER, _NORMALIZER = 1, 2, 3
_PIECE, _SCORE, _TYPE = 1, 2, 3
_MODEL_TYPE, _CHARACTER_MAP = 3, 2
_UNIGRAM, _NORMAL, _BYTE = 1, 1, 6


def write_tokenizer_files(folder: Path, vocabulary: Path, *, lower_case: bool, max_length: int) -> tuple[str, ...]:
    """Writes what ``AutoTokenizer.from_pretrained(folder)`` reads beside an ALBERT ``config.json``.

    A WordPiece vocabulary becomes a BertTokenizer, a SentencePiece model an AlbertTokenizer. Either gives the ids of
    this project's tokenizer, but "[MASK]" and the like in a text are the special tokens, unless the tokenizer is
    called with ``split_special_tokens=True``. WordPiece differs too in words of 101 to 200 characters (unknown),
    private-use characters (dropped instead of unknown), marks and punctuation that Unicode 9 or later brought, the
    ideographs U+2B820 to U+2B91F beside letters, and a Σ that ends a word in capitals (σ instead of ς).

    Args:
        folder: made if it is not there.
        vocabulary: ``vocab.txt``, or a SentencePiece model whose name ends in ``.model``.
        lower_case: as the checkpoint was trained: lower-case the text (for WordPiece, strip its accents too).
        max_length: tokens a sequence may have, special ones counted.

    Returns:
        The names of the files written, all in ``folder``.

    Raises:
        InputError: the vocabulary cannot be read, an entry is empty or there twice, a special token is missing, the
            file is no SentencePiece model or one of another kind than unigram, or the folder cannot be written.
    """
    folder, vocabulary = Path(folder), Path(vocabulary)
    if vocabulary.suffix == ".model":
        copy, special = "spiece.model", sentence_piece.SPECIAL_TOKENS
        content = _read_bytes(vocabulary)
        pipeline, settings = _sentence_piece(content, vocabulary, lower_case)
    else:
        copy, special = "vocab.txt", wordpiece.SPECIAL_TOKENS
        content = _read_bytes(vocabulary)
        pipeline, settings = _wordpiece(vocabulary, lower_case)
    settings |= {
        "do_lower_case": lower_case,
        "model_max_length": max_length,
        # AlbertTokenizer leaves token_type_ids out by itself, and the second text of a pair would pass for the first.
        "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
        **dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), special, strict=True)),
    }
    with atomic_writer(folder / copy, "wb") as stream:
        stream.write(content)
    with atomic_writer(folder / "tokenizer.json") as stream:
        # Not indented: tens of thousands of entries, which nobody reads.
        json.dump(pipeline, stream, ensure_ascii=False)
    write_json(folder / "tokenizer_config.json", settings)
    return copy, "tokenizer.json", "tokenizer_config.json"


def _wordpiece(path: Path, lower_case: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """tokenizer.json of a BERT vocabulary, and what tokenizer_config.json says of it alone."""
    ids = {token: number for number, token in enumerate(wordpiece.read_vocabulary(path))}
    advice = "Use the vocabulary of the checkpoint, or make one with build-vocab."
    pipeline = _pipeline(
        _special_ids(ids, wordpiece.SPECIAL_TOKENS, path, advice),
        normalizer={
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,  # as lowercase says
            "lowercase": lower_case,
        },
        pre_tokenizer={"type": "BertPreTokenizer"},
        decoder={"type": "WordPiece", "prefix": "##", "cleanup": True},
        model={
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            # BertTokenizer of transformers goes by 100 whatever is written.
            "max_input_chars_per_word": wordpiece.MAX_WORD_CHARACTERS,
            "vocab": ids,
        },
    )
    settings = {"tokenizer_class": "BertTokenizer", "tokenize_chinese_chars": True, "strip_accents": None}
    return pipeline, settings


def _sentence_piece(content: bytes, path: Path, lower_case: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """tokenizer.json of a SentencePiece model, and what tokenizer_config.json says of it alone.

    AlbertTokenizer reads ``spiece.model`` too, but takes the pieces that its maker set apart (in ALBERT's own
    ``( ) " - .`` and three more) for special tokens: without this tokenizer.json three in ten English texts come
    out in other pieces.
    """
    pieces, character_map = _read_model(content, path)
    ids = {piece: number for number, (piece, _) in enumerate(pieces)}
    advice = "Use ALBERT's model, or train one with pad_piece=<pad>, control_symbols=[CLS],[SEP],[MASK]."
    special = _special_ids(ids, sentence_piece.SPECIAL_TOKENS, path, advice)
    normalizers: list[dict[str, Any]] = [
        *({"type": "Replace", "pattern": {"String": quotes}, "content": '"'} for quotes in ("``", "''")),
        {"type": "NFKD"},
        {"type": "StripAccents"},
    ]
    if lower_case:
        normalizers.append({"type": "Lowercase"})
    if character_map:
        encoded = base64.b64encode(character_map).decode("ascii")
        normalizers.append({"type": "Precompiled", "precompiled_charsmap": encoded})
    spaces = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    pipeline = _pipeline(
        special,
        normalizer={"type": "Sequence", "normalizers": normalizers},
        pre_tokenizer={"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, spaces]},
        decoder=spaces,
        model={
            "type": "Unigram",
            "unk_id": special["<unk>"],
            # ALBERT cuts a piece such as "9," into the number and the comma: no path may hold it.
            "vocab": [[piece, score - 100 * ends_in_number_and_comma(piece)] for piece, score in pieces],
            "byte_fallback": False,
        },
    )
    # AlbertTokenizer takes piece 1 for the unknown one; what loads tokenizer.json as it is looks at unk_id.
    name = "AlbertTokenizer" if special["<unk>"] == 1 else "PreTrainedTokenizerFast"
    return pipeline, {"tokenizer_class": name, "keep_accents": False, "bos_token": "[CLS]", "eos_token": "[SEP]"}


def _pipeline(special: dict[str, int], **parts: dict[str, Any]) -> dict[str, Any]:
    """tokenizer.json around the parts that the two kinds do not share: [CLS] A [SEP], [CLS] A [SEP] B [SEP]."""

    def token(name: str, segment: int) -> dict[str, Any]:
        return {"SpecialToken": {"id": name, "type_id": segment}}

    def text(name: str, segment: int) -> dict[str, Any]:
        return {"Sequence": {"id": name, "type_id": segment}}

    single = [token("[CLS]", 0), text("A", 0), token("[SEP]", 0)]
    # normalized: searched for before the text is lower-cased, so that "[MASK]" is found and "[mask]" is not.
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": number, "content": name, **flags}
            for name, number in sorted(special.items(), key=lambda item: item[1])
        ],
        "post_processor": {
            "type": "TemplateProcessing",
            "single": single,
            "pair": [*single, text("B", 1), token("[SEP]", 1)],
            "special_tokens": {
                name: {"id": name, "ids": [special[name]], "tokens": [name]} for name in ("[CLS]", "[SEP]")
            },
        },
        **parts,
    }


def _special_ids(ids: dict[str, int], special: tuple[str, ...], path: Path, advice: str) -> dict[str, int]:
    """Ids of the special tokens. Raises InputError for one that is missing."""
    for token in special:
        if token not in ids:
            raise InputError(f"{path}: the special token {token} is missing among {len(ids)} entries. {advice}")
    return {token: ids[token] for token in special}


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}. Check the path.") from error


def _read_model(content: bytes, path: Path) -> tuple[list[tuple[str, float]], bytes]:
    """(piece, log-probability) by id, and the compiled character map, of a serialised SentencePiece model.

    Raises:
        InputError: it is none, or not of the unigram kind that ALBERT uses.
    """
    pieces: list[tuple[str, float]] = []
    kinds, model_type, character_map = set(), _UNIGRAM, b""
    try:
        for field, value in _fields(content):
            if field == _PIECES:
                piece = dict(_fields(value))
                (score,) = struct.unpack("<f", piece.get(_SCORE, bytes(4)))
                pieces.append((piece[_PIECE].decode("utf-8"), score))
                kinds.add(piece.get(_TYPE, _NORMAL))
            elif field == _TRAINER:
                model_type = dict(_fields(value)).get(_MODEL_TYPE, _UNIGRAM)
            elif field == _NORMALIZER:
                character_map = dict(_fields(value)).get(_CHARACTER_MAP, b"")
        if not pieces:
            raise ValueError("no pieces")
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, struct.error) as error:
        raise InputError(f"{path}: not a SentencePiece model. Use the .model file of the checkpoint.") from error
    if model_type != _UNIGRAM or _BYTE in kinds:
        raise InputError(
            f"{path}: a SentencePiece model of another kind than ALBERT's (unigram without bytes), which "
            "AlbertTokenizer cannot read. Train the model with model_type=unigram, byte_fallback=false."
        )
    return pieces, character_map


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """(number, value) of each field of a protobuf message: an integer, or the bytes of any other value.

    https://protobuf.dev/programming-guides/encoding
    """
    place = 0
    while place < len(message):
        key, place = _integer(message, place)
        if key & 7 == 0:
            value, place = _integer(message, place)
        else:
            size, place = _integer(message, place) if key & 7 == 2 else ({1: 8, 5: 4}[key & 7], place)
            if place + size > len(message):
                raise ValueError("the message ends inside a field")
            value, place = message[place : place + size], place + size
        yield key >> 3, value


def _integer(message: bytes, place: int) -> tuple[int, int]:
    """The variable-length integer at ``place``, and the place after it."""
    value = shift = 0
    while message[place] & 0x80:
        value |= (message[place] & 0x7F) << shift
        place, shift = place + 1, shift + 7
    return value | message[place] << shift, place + 1
