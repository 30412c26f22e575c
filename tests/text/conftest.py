"""A small SentencePiece model for the tests of the text room."""

import random

import pytest


@pytest.fixture(scope="session")
def model_file(tmp_path_factory):
    import sentencepiece

    folder = tmp_path_factory.mktemp("sentencepiece")
    rng = random.Random(5)
    words = "the model reads 2000 words, learns 15 pieces of it, it's small . ( hello world ) \"yes\" don't".split()
    (folder / "text.txt").write_text("\n".join(" ".join(rng.choices(words, k=12)) for _ in range(400)))
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "text.txt"),
        model_prefix=str(folder / "spm"),
        vocab_size=100,
        pad_id=0,
        unk_id=1,
        bos_id=-1,
        eos_id=-1,
        pad_piece="<pad>",
        unk_piece="<unk>",
        control_symbols="[CLS],[SEP],[MASK]",
        minloglevel=2,
        num_threads=1,
        hard_vocab_limit=False,
    )
    return folder / "spm.model"
