from collections import Counter

import numpy as np

from albert_zh.pretrain.documents import Document
from albert_zh.pretrain.tagging import clause_mark_ids, tag_documents
from albert_zh.text.words import make_segmenter


def tag(documents, tokenizer, segmenter="rjieba", max_tokens=60):
    counts = Counter()
    texts = [Document(0, i, sentences) for i, sentences in enumerate(documents)]
    marks = clause_mark_ids(tokenizer)
    return tag_documents(texts, tokenizer, make_segmenter(segmenter), marks, max_tokens, counts), counts


def test_arrays_hold_every_token_its_words_and_sentences(tokenizer):
    text, counts = tag([["研究生命的起源，需要。", "下雨了"], ["我用iPhone搜索艾灸"]], tokenizer)
    tokens = tokenizer.tokens(text.ids)
    assert "".join(tokens) == "研究生命的起源，需要。下雨了我用iphone搜索艾灸"
    starts = [tokens[i] for i in np.flatnonzero(text.word_starts)]
    assert starts == ["研", "生", "的", "起", "，", "需", "。", "下", "了", "我", "iphone", "搜", "艾"]
    assert [tokens[i] for i in np.flatnonzero(text.after_punctuation)] == ["需"]
    assert [(document.start, document.sentence_ends) for document in text.documents] == [(0, [11, 14]), (14, [21])]
    assert counts == Counter(documents=2, sentences=3, text_tokens=21)


def test_sentences_and_documents_without_tokens_are_counted(tokenizer):
    text, counts = tag([["\u200b"], ["下雨了", "\u200b", "犇"]], tokenizer)
    assert counts["documents_without_tokens"] == 1
    assert counts["sentences_without_tokens"] == 2
    assert counts["unknown_tokens"] == 1
    assert len(text.documents) == 1


def test_a_sentence_over_the_length_is_cut_and_loses_nothing(tokenizer):
    sentence = "今年的苹果特别甜，" * 20
    text, counts = tag([[sentence]], tokenizer, max_tokens=25)
    assert "".join(tokenizer.tokens(text.ids)) == sentence
    assert np.diff([0, *text.documents[0].sentence_ends]).max() <= 25
    assert text.word_starts[text.documents[0].sentence_ends[:-1]].all()
    assert counts["sentences_cut"] == 1


def test_without_a_segmenter_pieces_are_the_words(tokenizer):
    text, _ = tag([["研究生命"]], tokenizer, "none")
    assert text.word_starts.all()
