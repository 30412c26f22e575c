import re
from html.parser import HTMLParser

import numpy as np
import pytest

from albert_zh.files import InputError
from albert_zh.pretrain.create import run as create
from albert_zh.pretrain.example import MaskedInstance
from albert_zh.pretrain.inspect import InspectOptions, masked_example_html, run, shown_tokens
from albert_zh.pretrain.manifest import find_manifest
from albert_zh.pretrain.records import RecordWriter
from albert_zh.text.words import make_segmenter


@pytest.fixture
def instance(tokenizer):
    tokens = "[CLS] 研 究 [MASK] [MASK] 的 起 源 [SEP] 我 用 iphone 搜 索 [SEP]".split()
    return MaskedInstance(
        np.array(tokenizer.token_ids(tokens), np.int32),
        np.array([0] * 9 + [1] * 6, np.int32),
        np.array([3, 4, 6, 11], np.int32),
        np.array(tokenizer.token_ids(["生", "命", "雨", "iphone"]), np.int32),
        True,
    )


def test_words_are_found_again_in_the_unmasked_text(instance, tokenizer):
    shown = shown_tokens(instance, tokenizer, make_segmenter())
    words = {}
    for token in shown:
        words.setdefault(token.word, []).append(token.original)
    assert ["生", "命"] in words.values()
    assert list(words) == list(range(len(words)))
    kinds = {token.original: token.kind for token in shown}
    assert (kinds["生"], kinds["雨"], kinds["iphone"], kinds["的"]) == ("mask", "random", "kept", "plain")


def test_the_terminal_shows_words_masks_and_the_order(options, capsys, tmp_path):
    create(options())
    path = str(options().outputs[0])
    capsys.readouterr()
    run(InspectOptions(path, num=3, html=str(tmp_path / "page.html")))
    out = capsys.readouterr().out
    assert out.count("\nrecord ") == 3
    assert re.search(r"sentence-order label [01] \((swapped|in order)\)", out)
    assert re.search(r"\[MASK\]⟨.⟩", out)
    assert "\033[" not in out
    run(InspectOptions(path, num=1, color="always"))
    assert "\033[1;97;41m[MASK]⟨" in capsys.readouterr().out
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "http" not in page  # self-contained
    assert "Noto Sans CJK SC" in page
    assert page.count("<h2>") == 3


def test_the_fragment_is_well_formed_and_escaped(instance, tokenizer):
    class Checker(HTMLParser):
        def __init__(self):
            super().__init__()
            self.open, self.seen = [], []

        def handle_starttag(self, tag, attrs):
            if tag != "wbr":
                self.open.append(tag)

        def handle_endtag(self, tag):
            assert self.open.pop() == tag

        def handle_data(self, data):
            self.seen.append(data)

    fragment = masked_example_html(instance, tokenizer)
    checker = Checker()
    checker.feed(fragment)
    assert not checker.open
    assert {"生", "命", "雨", "[MASK]"} <= set(checker.seen)
    assert fragment.startswith("<style>")
    assert "<style>" not in masked_example_html(instance, tokenizer, with_style=False)


def test_records_of_other_tools_need_a_vocabulary(tmp_path, instance, vocab_file, capsys):
    path = tmp_path / "old.tfrecord"
    with open(path, "wb") as stream:
        RecordWriter(stream).write(instance)
    with pytest.raises(InputError, match=r"old\.tfrecord: no manifest names its vocabulary"):
        run(InspectOptions(str(path)))
    run(InspectOptions(str(path), vocab_file=vocab_file))
    assert "label 1 (swapped)" in capsys.readouterr().out
    with pytest.raises(InputError, match="has 1 records, none at --start=5"):
        run(InspectOptions(str(path), vocab_file=vocab_file, start=5))


def test_every_output_of_a_run_finds_its_manifest(options, tmp_path):
    chosen = options(output_file=f"{tmp_path}/a.tfrecord,{tmp_path}/b.tfrecord")
    manifest = create(chosen)
    assert all(find_manifest(path) == manifest for path in chosen.outputs)


def test_another_vocabulary_is_refused(options, tmp_path, vocab_file):
    create(options())
    other = tmp_path / "other.txt"
    with open(vocab_file, encoding="utf-8") as stream:
        other.write_text(stream.read() + "鑫\n", encoding="utf-8")
    with pytest.raises(InputError, match="not the vocabulary of"):
        run(InspectOptions(str(options().outputs[0]), vocab_file=str(other)))
