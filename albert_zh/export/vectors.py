"""Test vectors for a tokenizer written anew, on a phone or anywhere: texts with their ids, as the exporting model's
own tokenizer gives them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from albert_zh.files import write_json
from albert_zh.text.packing import pack_pair, pad_batch
from albert_zh.text.tokenizer import Tokenizer

#: The file beside the vocabulary.
VECTORS_FILE = "tokenizer_vectors.json"

#: What ports get wrong: accents, full width, emoji, spaces of all kinds, words too long, compositions, private use.
TEXTS = (
    "艾灸降血糖，为爸妈收好了！",
    "我用iPhone15搜索“中华人民共和国”。",
    "Müller买了3.14kg苹果和café拿铁",
    "ＡＢＣ１２３全角字符",
    "臺灣繁體字與日本語かなカナ",
    "😀表情👍🏽和👨\u200d👩\u200d👧零宽连接",
    "零\u200b宽\ufeff空格\xa0不换行\u3000全角空格",
    "制表\t换行\r回车",
    "[CLS]特殊[MASK]标记[SEP]在文本里",
    "a" * 199,
    "a" * 201 + "尾",
    "https://www.example.com/a?b=c&d=1#x",
    "user@example.com 的电话是 010-8888 6666",
    "",
    "   ",
    "２０２６年１１月２２日",
    "𠮷野家和𪚥生僻字",
    "한국어와 Русский и العربية",
    "ǅǈ土耳其İstanbul ı",
    "½⅓²₂①②㈠㊣",
    "——……《》〈〉「」『』【】",
    "don't can't it's rock'n'roll",
    "C++/C#/.NET/Node.js",
    "1,234,567.89元-50%~¥100$",
    "深度学习deepLearning模型BERT-base",
    "\u0301前组合符e\u0301组合",
    "a\x00b\ufffdc\x07d",
    "NaN inf 1e-5 0x1F",
    "unaffable unwanted running",
    "ﬁ连字ﬀ ﬃ",
    "々〆〇〻",
    "ㄅㄆㄇㄈ注音",
    "\ud7ff\ue000私用区",
    "—–‐‑-−",
    "Ⅷ章 ⅷ节",
    "ß ẞ Σ ς",
    "!!??。。；；：：",
    "__init__ snake_case kebab-case",
    "ΟΔΟΣ ΟΔΟΣ, Σ1 ΑΣ'Α",
    "一行\n两行\u2028三行\u2029四行",
)

#: (first text, second or None, length): one fits, some are cut, the longer of the two first.
PAIRS = (
    ("花呗怎么还款", None, 16),
    ("今天的天气很好，我们一起去公园散步吧", None, 16),
    ("花呗怎么还款", "怎么还花呗", 32),
    ("我用iPhone15搜索了附近最好吃的一家火锅店", "附近哪家火锅好吃", 24),
    ("手机", "我想买一部电池耐用而且拍照清楚的手机", 16),
    ("这句话有十个字左右吧", "那句话也有十个字左右", 16),
    ("café很近", "咖啡馆不远", 8),
)


def vectors(tokenizer: Tokenizer) -> dict[str, Any]:
    """What a tokenizer of this vocabulary must answer.

    Returns:
        ``vocabulary_sha256``; ``tokenizer``, ``lower_case``: of this model; ``texts``: each ``text`` with its ids when
        text is lower-cased (``lower``) and when it is not (``cased``), nothing added; ``pairs``: ``first``, ``second``
        (null: one text alone) and ``length``, with ``input_ids``, ``input_mask`` and ``segment_ids`` of that length,
        lower-cased as ``lower_case`` says.
    """
    kind = type(tokenizer)
    both = {name: kind(tokenizer.path, lower_case) for name, lower_case in (("lower", True), ("cased", False))}
    return {
        "vocabulary_sha256": tokenizer.fingerprint,
        "tokenizer": tokenizer.kind,
        "lower_case": tokenizer.lower_case,
        "texts": [{"text": text} | {name: other.encode(text).ids for name, other in both.items()} for text in TEXTS],
        "pairs": [_packed(tokenizer, *pair) for pair in PAIRS],
    }


def write(tokenizer: Tokenizer, folder: str | os.PathLike[str]) -> Path:
    """Writes ``vectors`` as ``tokenizer_vectors.json`` into a folder, and returns its path."""
    path = Path(folder) / VECTORS_FILE
    write_json(path, vectors(tokenizer))
    return path


def _packed(tokenizer: Tokenizer, first: str, second: str | None, length: int) -> dict[str, Any]:
    ids = [None if text is None else tokenizer.encode(text).ids for text in (first, second)]
    arrays = pad_batch([pack_pair(*ids, tokenizer, length)], length, tokenizer.pad_id)
    named = zip(("input_ids", "input_mask", "segment_ids"), arrays, strict=True)
    return {"first": first, "second": second, "length": length} | {name: array[0].tolist() for name, array in named}
