"""Every published model and data set: addresses, checksum, licence. Literal tables, no code runs to fill them."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from albert_zh.files import InputError


@dataclass(frozen=True)
class Download:
    """One file to fetch: its addresses in the order they are tried.

    An address may end in ``#md5=HEX`` or ``#sha256=HEX``, the checksum of the bytes behind it. Addresses that are not
    of the same bytes (a mirror packed anew) carry their own or none.
    """

    urls: tuple[str, ...]


@dataclass(frozen=True)
class Model:
    """A published checkpoint.

    Attributes:
        name: what users type.
        family: "brightmart" or "google": two different networks.
        size: tiny to xxlarge.
        layout: "tf1", "tf2" or "huggingface".
        downloads: files to fetch; archives are unpacked.
        files: what the folder must hold, alternatives in a group, names or patterns.
        licence: as far as known; what matters most stands before a bracket.
        note: what sets it apart.
    """

    name: str
    family: str
    size: str
    layout: str
    downloads: tuple[Download, ...]
    files: tuple[tuple[str, ...], ...]
    licence: str
    note: str = ""


@dataclass(frozen=True)
class Dataset:
    """A published data set.

    Attributes:
        name: what users type; the task's name in most cases.
        downloads: files to fetch; archives are unpacked. Empty: no public address is known.
        files: what the folder must hold, alternatives in a group, names or patterns.
        licence: as far as known; what matters most stands before a bracket.
        note: what a user should know before using it.
    """

    name: str
    downloads: tuple[Download, ...]
    files: tuple[tuple[str, ...], ...]
    licence: str
    note: str = ""


# ---------------------------------------------------------------------------------------------------------------------
# Models

_ZH = "https://storage.googleapis.com/albert_zh/"
_GOOGLE = "https://storage.googleapis.com/albert_models/"
_GARDEN = "https://storage.googleapis.com/tf_model_garden/nlp/albert/"
_TPU = "https://storage.googleapis.com/cloud-tpu-checkpoints/albert/checkpoints/"
HUGGINGFACE = "https://huggingface.co/"
HUGGINGFACE_MIRROR = "https://hf-mirror.com/"

_TF1 = (("*.index",), ("*.json",))
_TF2 = (("*.index",),)

_UNKNOWN = "none stated (by the publisher, for the weights)"
_APACHE = "Apache-2.0 (stated for the publishing repository)"


def _packed(url: str) -> tuple[Download, ...]:
    return (Download((url,)),)


def _huggingface(repository: str, weights: tuple[str, ...], *others: str) -> tuple[Download, ...]:
    """The files of a repository, each from the site and then the mirror; the first weights found are taken."""
    groups = (weights, *((name,) for name in others))
    sites = (HUGGINGFACE, HUGGINGFACE_MIRROR)
    return tuple(
        Download(tuple(f"{site}{repository}/resolve/main/{name}" for name in group for site in sites))
        for group in groups
    )


_SAFE_FIRST = ("model.safetensors", "pytorch_model.bin")
_HF_ZH = (_SAFE_FIRST, ("config.json",), ("vocab.txt",))
_HF_EN = (_SAFE_FIRST, ("config.json",), ("spiece.model",))


def _huggingface_zh(repository: str) -> tuple[Download, ...]:
    return _huggingface(repository, _SAFE_FIRST, "config.json", "vocab.txt")


def _huggingface_en(repository: str) -> tuple[Download, ...]:
    return _huggingface(repository, _SAFE_FIRST, "config.json", "spiece.model")


# fmt: off
_MODELS = (
    # brightmart's own network
    Model("albert_tiny_zh", "brightmart", "tiny", "tf1", _packed(_ZH + "albert_tiny.zip"), _TF1, _UNKNOWN),
    Model("albert_tiny_zh_489k", "brightmart", "tiny", "tf1", _packed(_ZH + "albert_tiny_489k.zip"), _TF1, _UNKNOWN,
          "trained longer, 489,000 steps"),
    Model("albert_base_zh", "brightmart", "base", "tf1", _packed(_ZH + "albert_base_zh.zip"), _TF1, _UNKNOWN),
    Model("albert_base_zh_additional_36k_steps", "brightmart", "base", "tf1",
          _packed(_ZH + "albert_base_zh_additional_36k_steps.zip"), _TF1, _UNKNOWN, "36,000 steps more"),
    Model("albert_large_zh", "brightmart", "large", "tf1", _packed(_ZH + "albert_large_zh.zip"), _TF1, _UNKNOWN),
    Model("albert_xlarge_zh_177k", "brightmart", "xlarge", "tf1", _packed(_ZH + "albert_xlarge_zh_177k.zip"), _TF1,
          _UNKNOWN, "177,000 steps"),
    Model("albert_xlarge_zh_183k", "brightmart", "xlarge", "tf1", _packed(_ZH + "albert_xlarge_zh_183k.zip"), _TF1,
          _UNKNOWN, "183,000 steps"),
    # google's network, trained by brightmart
    Model("albert_tiny_zh_google", "google", "tiny", "tf1", _packed(_ZH + "albert_tiny_zh_google.zip"), _TF1, _UNKNOWN),
    Model("albert_small_zh_google", "google", "small", "tf1", _packed(_ZH + "albert_small_zh_google.zip"), _TF1,
          _UNKNOWN),
    # google-research/albert, Chinese
    Model("albert_base_zh_google", "google", "base", "tf1", _packed(_GOOGLE + "albert_base_zh.tar.gz"), _TF1, _APACHE),
    Model("albert_large_zh_google", "google", "large", "tf1", _packed(_GOOGLE + "albert_large_zh.tar.gz"), _TF1,
          _APACHE),
    Model("albert_xlarge_zh_google", "google", "xlarge", "tf1", _packed(_GOOGLE + "albert_xlarge_zh.tar.gz"), _TF1,
          _APACHE),
    Model("albert_xxlarge_zh_google", "google", "xxlarge", "tf1", _packed(_GOOGLE + "albert_xxlarge_zh.tar.gz"), _TF1,
          _APACHE),
    # google-research/albert, English
    Model("albert_base_v1", "google", "base", "tf1", _packed(_GOOGLE + "albert_base_v1.tar.gz"), _TF1, _APACHE,
          "English"),
    Model("albert_large_v1", "google", "large", "tf1", _packed(_GOOGLE + "albert_large_v1.tar.gz"), _TF1, _APACHE,
          "English"),
    Model("albert_xlarge_v1", "google", "xlarge", "tf1", _packed(_GOOGLE + "albert_xlarge_v1.tar.gz"), _TF1, _APACHE,
          "English"),
    Model("albert_xxlarge_v1", "google", "xxlarge", "tf1", _packed(_GOOGLE + "albert_xxlarge_v1.tar.gz"), _TF1,
          _APACHE, "English"),
    Model("albert_base_v2", "google", "base", "tf1", _packed(_GOOGLE + "albert_base_v2.tar.gz"), _TF1, _APACHE,
          "English"),
    Model("albert_large_v2", "google", "large", "tf1", _packed(_GOOGLE + "albert_large_v2.tar.gz"), _TF1, _APACHE,
          "English"),
    Model("albert_xlarge_v2", "google", "xlarge", "tf1", _packed(_GOOGLE + "albert_xlarge_v2.tar.gz"), _TF1, _APACHE,
          "English"),
    Model("albert_xxlarge_v2", "google", "xxlarge", "tf1", _packed(_GOOGLE + "albert_xxlarge_v2.tar.gz"), _TF1,
          _APACHE, "English"),
    # TensorFlow 2, English
    Model("albert_base_tf2", "google", "base", "tf2", _packed(_GARDEN + "albert_base.tar.gz"), _TF2, _APACHE,
          "English"),
    Model("albert_large_tf2", "google", "large", "tf2", _packed(_GARDEN + "albert_large.tar.gz"), _TF2, _APACHE,
          "English"),
    Model("albert_xlarge_tf2", "google", "xlarge", "tf2", _packed(_GARDEN + "albert_xlarge.tar.gz"), _TF2, _APACHE,
          "English"),
    Model("albert_xxlarge_tf2", "google", "xxlarge", "tf2", _packed(_GARDEN + "albert_xxlarge.tar.gz"), _TF2, _APACHE,
          "English"),
    Model("albert_base_v2_tf2", "google", "base", "tf2", _packed(_TPU + "albert_v2_base.tar.gz"), _TF2, _APACHE,
          "English"),
    Model("albert_large_v2_tf2", "google", "large", "tf2", _packed(_TPU + "albert_v2_large.tar.gz"), _TF2, _APACHE,
          "English"),
    Model("albert_xlarge_v2_tf2", "google", "xlarge", "tf2", _packed(_TPU + "albert_v2_xlarge.tar.gz"), _TF2, _APACHE,
          "English"),
    Model("albert_xxlarge_v2_tf2", "google", "xxlarge", "tf2", _packed(_TPU + "albert_v2_xxlarge.tar.gz"), _TF2,
          _APACHE, "English"),
    # Hugging Face, Chinese
    *(Model(f"voidful/albert_chinese_{size}", "google", size, "huggingface",
            _huggingface_zh(f"voidful/albert_chinese_{size}"), _HF_ZH, _UNKNOWN)
      for size in ("tiny", "small", "base", "large", "xlarge", "xxlarge")),
    *(Model(f"clue/albert_chinese_{size}", "google", size, "huggingface",
            _huggingface_zh(f"clue/albert_chinese_{size}"), _HF_ZH, _UNKNOWN)
      for size in ("tiny", "small")),
    # Hugging Face, English
    *(Model(f"albert/albert-{size}-{version}", "google", size, "huggingface",
            _huggingface_en(f"albert/albert-{size}-{version}"), _HF_EN, _APACHE, "English")
      for version in ("v1", "v2") for size in ("base", "large", "xlarge", "xxlarge")),
)
# fmt: on

# ---------------------------------------------------------------------------------------------------------------------
# Data sets

_CLUE = "https://storage.googleapis.com/cluebenchmark/tasks/"
_PADDLE = "https://bj.bcebos.com/paddlenlp/datasets/"
_PADDLE_OLD = "https://paddlenlp.bj.bcebos.com/datasets/"
_PADDLEHUB = "https://paddlehub-dataset.bj.bcebos.com/"
_SQUAD = "https://rajpurkar.github.io/SQuAD-explorer/dataset/"
_GLUE = "https://dl.fbaipublicfiles.com/glue/data/"
_XNLI = "https://dl.fbaipublicfiles.com/XNLI/"

_THREE_JSON = (("train.json",), ("dev.json",), ("test.json",))
_THREE_TSV = (("train.tsv",), ("dev.tsv",), ("test.tsv",))
_NOT_STATED = "none stated (by the benchmark, for this set)"
_ASK = "for research, on application to its authors"


def _clue(archive: str, mirror: str | None = None) -> tuple[Download, ...]:
    return (Download((_CLUE + archive, *([mirror + archive] if mirror else []))),)


# fmt: off
_DATASETS = (
    Dataset("lcqmc", (Download(("https://dataset-bj.cdn.bcebos.com/qianyan/lcqmc.zip"
                                "#md5=7069fa0cffbd2110845869c61f83814a", _PADDLEHUB + "lcqmc.tar.gz")),),
            (("train.tsv", "train.txt"), ("dev.tsv", "dev.txt"), ("test.tsv", "test.txt")), _ASK,
            "the test rows of the first address carry no labels"),
    Dataset("afqmc", _clue("afqmc_public.zip", _PADDLE), _THREE_JSON, _NOT_STATED),
    Dataset("tnews", _clue("tnews_public.zip", _PADDLE), _THREE_JSON, _NOT_STATED),
    Dataset("iflytek", _clue("iflytek_public.zip", _PADDLE), _THREE_JSON, _NOT_STATED),
    Dataset("ocnli", _clue("ocnli_public.zip"), (("train.50k.json", "train.json"), ("dev.json",), ("test.json",)),
            "non-commercial use only"),
    Dataset("cmnli", _clue("cmnli_public.zip", _PADDLE), _THREE_JSON, _NOT_STATED),
    Dataset("csl", _clue("csl_public.zip", _PADDLE), _THREE_JSON, _NOT_STATED),
    Dataset("cluewsc2020", _clue("cluewsc2020_public.zip", _PADDLE), _THREE_JSON, _NOT_STATED),
    Dataset("wsc", _clue("wsc_public.zip"), (("train.json",), ("dev.json",)), _NOT_STATED,
            "the old set; cluewsc2020 is the one of the leaderboard"),
    Dataset("cmrc2018", _clue("cmrc2018_public.zip", _PADDLE_OLD), _THREE_JSON, "CC BY-SA 4.0"),
    Dataset("drcd", _clue("drcd_public.zip", _PADDLE_OLD), _THREE_JSON, "CC BY-SA 3.0", "traditional characters"),
    Dataset("chid", _clue("chid_public.zip", _PADDLE_OLD),
            (("train.json",), ("train_answer.json",), ("dev.json",), ("dev_answer.json",)), _NOT_STATED),
    Dataset("c3", _clue("c3_public.zip", _PADDLE_OLD),
            (("c3-d-train.json", "d-train.json", "train.json"), ("c3-d-dev.json", "d-dev.json", "dev.json")),
            "non-commercial use only"),
    Dataset("cluener", _clue("cluener_public.zip"), _THREE_JSON, _NOT_STATED),
    Dataset("msra_ner", _packed(_PADDLEHUB + "msra_ner.tar.gz"), (("train*",), ("test*",)), _NOT_STATED),
    Dataset("weibo_ner", (), (("*train*",), ("*dev*",), ("*test*",)), _NOT_STATED),
    Dataset("peopledaily", (), (("*train*",), ("*dev*",), ("*test*",)), _NOT_STATED),
    Dataset("xnli", (Download((_XNLI + "XNLI-1.0.zip",)), Download((_XNLI + "XNLI-MT-1.0.zip",))),
            (("XNLI-1.0/xnli.dev.tsv", "xnli.dev.tsv"), ("XNLI-1.0/xnli.test.tsv", "xnli.test.tsv"),
             ("XNLI-MT-1.0/multinli/multinli.train.zh.tsv", "multinli.train.zh.tsv")), "CC BY-NC 4.0"),
    Dataset("chnsenticorp", _packed(_PADDLEHUB + "chnsenticorp.tar.gz"), _THREE_TSV, _NOT_STATED),
    Dataset("cola", _packed(_GLUE + "CoLA.zip"), _THREE_TSV, _NOT_STATED),
    Dataset("sst2", _packed(_GLUE + "SST-2.zip"), _THREE_TSV, _NOT_STATED),
    Dataset("mrpc", (), _THREE_TSV, _NOT_STATED, "GLUE packs none: its script makes it from Microsoft's own files"),
    Dataset("stsb", _packed(_GLUE + "STS-B.zip"), _THREE_TSV, _NOT_STATED),
    Dataset("qqp", _packed(_GLUE + "QQP-clean.zip"), _THREE_TSV, _NOT_STATED),
    Dataset("mnli", (*_packed(_GLUE + "MNLI.zip"), *_packed(_GLUE + "AX.tsv")),
            tuple((f"MNLI/{name}", name) for name in ("train.tsv", "dev_matched.tsv", "dev_mismatched.tsv")),
            _NOT_STATED, "matched and mismatched, with GLUE's diagnostic rows"),
    Dataset("qnli", _packed(_GLUE + "QNLIv2.zip"), _THREE_TSV, _NOT_STATED),
    Dataset("rte", _packed(_GLUE + "RTE.zip"), _THREE_TSV, _NOT_STATED),
    Dataset("wnli", _packed(_GLUE + "WNLI.zip"), _THREE_TSV, _NOT_STATED),
    Dataset("ax", _packed(_GLUE + "AX.tsv"), (("AX.tsv", "diagnostic.tsv"),), _NOT_STATED,
            "GLUE's diagnostic rows; mnli has them too"),
    Dataset("squad1", (Download((_SQUAD + "train-v1.1.json",)), Download((_SQUAD + "dev-v1.1.json",))),
            (("train-v1.1.json",), ("dev-v1.1.json",)), "CC BY-SA 4.0"),
    Dataset("squad2", (Download((_SQUAD + "train-v2.0.json",)), Download((_SQUAD + "dev-v2.0.json",))),
            (("train-v2.0.json",), ("dev-v2.0.json",)), "CC BY-SA 4.0"),
    Dataset("race", _packed("http://www.cs.cmu.edu/~glai1/data/race/RACE.tar.gz"), (("train",), ("dev",), ("test",)),
            "non-commercial research use only"),
)
# fmt: on

MODELS = {model.name: model for model in _MODELS}
DATASETS = {dataset.name: dataset for dataset in _DATASETS}


def find(name: str) -> Model | Dataset:
    """The row of a name. Raises InputError with the nearest names."""
    row = MODELS.get(name) or DATASETS.get(name)
    if row is None:
        near = difflib.get_close_matches(name, [*MODELS, *DATASETS], n=3)
        hint = f"Did you mean {' or '.join(near)}? " if near else ""
        raise InputError(
            f"{name!r} is neither a folder nor in the catalogue. {hint}albert-zh models lists all; "
            "or give a folder that holds it."
        )
    return row
