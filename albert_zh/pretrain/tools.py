"""What a process that makes records builds once: tokenizer, segmenter and the tables made from the vocabulary."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from albert_zh.pretrain.masking import MaskingRule, legacy_subword_labels, random_token_ids
from albert_zh.pretrain.options import CreateDataOptions
from albert_zh.pretrain.tagging import clause_mark_ids
from albert_zh.text.tokenizer import Tokenizer, load_tokenizer
from albert_zh.text.words import Segmenter, make_segmenter


@dataclass(frozen=True)
class Tools:
    """What a process builds once: tokenizer, segmenter and the tables made from the vocabulary."""

    tokenizer: Tokenizer
    segmenter: Segmenter
    masking: MaskingRule
    is_clause_mark: np.ndarray


@functools.lru_cache(maxsize=2)
def load_tools(options: CreateDataOptions) -> Tools:
    """The tools for these options, built once per process. Raises InputError when a file of theirs cannot be used."""
    tokenizer = load_tokenizer(
        None if options.spm_model_file else options.vocab_file, options.spm_model_file or None, options.do_lower_case
    )
    return Tools(
        tokenizer,
        make_segmenter("none" if options.non_chinese else options.segmenter, options.user_dictionary or None),
        MaskingRule(
            masked_lm_prob=options.masked_lm_prob,
            max_predictions=options.max_predictions_per_seq,
            ngram=options.ngram,
            whole_words=options.do_whole_word_mask,
            mask_id=tokenizer.mask_id,
            random_ids=random_token_ids(tokenizer),
            legacy_labels=legacy_subword_labels(tokenizer) if options.legacy_subword_labels else None,
        ),
        clause_mark_ids(tokenizer),
    )
