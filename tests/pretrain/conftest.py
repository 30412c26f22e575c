"""A small vocabulary and corpus for the tests of pretrain/."""

import dataclasses
import random

import pytest

from albert_zh.pretrain.options import CreateDataOptions
from albert_zh.text.tokenizer import load_tokenizer

SENTENCES = (
    "研究生命的起源，需要很多年的耐心。",
    "中华人民共和国成立以后，这座城市修了第一条铁路。",
    "我用iPhone搜索艾灸的历史，结果很有意思！",
    "奶奶说：今年的苹果特别甜。",
    "老师问大家，为什么月亮有时候圆，有时候弯？",
    "他没有回答。",
    "公司计划明年投资3.5亿元，建设新的数据中心；地点还没有确定。",
    "下雨了",
    "图书馆的灯一直亮到深夜，学生们在准备考试。",
    "厨师把面团放在温暖的地方，等它慢慢发起来。",
    "法院认为合同有效，被告应当在十日内付款。",
    "科学家用望远镜观察遥远的星系。",
)
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


@pytest.fixture(scope="session")
def vocab_file(tmp_path_factory):
    characters = sorted({c for sentence in SENTENCES for c in sentence.lower()})
    tokens = [*SPECIAL, *(f"[unused{i}]" for i in range(1, 20)), "<S>", "iphone", *characters]
    tokens += [f"##{c}" for c in characters if c.isalnum()]
    path = tmp_path_factory.mktemp("vocabulary") / "vocab.txt"
    path.write_text("\n".join(tokens) + "\n", encoding="utf-8")
    return str(path)


@pytest.fixture(scope="session")
def tokenizer(vocab_file):
    return load_tokenizer(vocab_file)


@pytest.fixture(scope="session")
def corpus_text():
    """40 documents of 1 to 14 sentences, the same every time."""
    dice = random.Random(7)
    documents = ["\n".join(dice.choices(SENTENCES, k=dice.randint(1, 14))) for _ in range(40)]
    return "\n\n".join(documents) + "\n"


@pytest.fixture
def corpus(tmp_path, corpus_text):
    path = tmp_path / "news.txt"
    path.write_text(corpus_text, encoding="utf-8")
    return path


@pytest.fixture
def small_shards(monkeypatch):
    """Shards of 1500 bytes, so that a small corpus has several."""
    monkeypatch.setattr("albert_zh.pretrain.shards.MIN_SHARD_BYTES", 1500)


@pytest.fixture
def options(corpus, tmp_path, vocab_file):
    """The options of a small run; ``options(name=value)`` changes some."""
    base = CreateDataOptions(
        input_file=str(corpus),
        output_file=str(tmp_path / "out" / "tf.tfrecord"),
        vocab_file=vocab_file,
        max_seq_length=64,
        max_predictions_per_seq=8,
        dupe_factor=2,
        num_workers=1,
    )
    return lambda **changes: dataclasses.replace(base, **changes)
