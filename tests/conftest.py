"""What the tests of several rooms share: reference numbers, a network shrunk to run in milliseconds, records."""

import dataclasses
import http.server
import json
import os
import threading
from pathlib import Path

import numpy as np
import pytest

from albert_zh.config import AlbertConfig
from albert_zh.pretrain.example import MaskedInstance
from albert_zh.pretrain.records import RecordWriter

# Recent GPUs round the factors of a product to TF32, and no reference number could be held.
os.environ.setdefault("NVIDIA_TF32_OVERRIDE", "0")

GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser):
    parser.addoption("--with-torch", action="store_true", help="also what needs PyTorch and transformers (tests/torch)")


def pytest_ignore_collect(collection_path, config):
    return True if collection_path.name == "torch" and not config.getoption("--with-torch") else None


@pytest.fixture(scope="session", autouse=True)
def _no_test_touches_the_user_s_downloads(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALBERT_ZH_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty home for this test's downloads, not made yet."""
    monkeypatch.setenv("ALBERT_ZH_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def web(monkeypatch):
    """A server on this machine: ``web.files[path]`` are the bytes behind ``web.address + path``.

    ``web.asked`` lists the paths asked for; those in ``web.cut`` break off half-way; ``.html`` is sent as a page.
    """
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            server.asked.append(self.path)
            body = server.files.get(self.path)
            if body is None:
                return self.send_error(404)
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Type", "text/html" if self.path.endswith(".html") else "application/octet-stream")
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if self.path in server.cut else body)
            self.close_connection = True

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.files, server.asked, server.cut = {}, [], set()
    server.address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def golden():
    """The folder of reference numbers computed by the published implementations."""
    return GOLDEN


@pytest.fixture(scope="session")
def tiny_config():
    """``tiny_config(name=value)``: a brightmart network of 2 layers, hidden 16, 40 words, with some fields changed."""
    base = AlbertConfig(
        vocab_size=40,
        embedding_size=8,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=24,
        max_position_embeddings=64,
    )
    return lambda **changes: dataclasses.replace(base, **changes)


@pytest.fixture(scope="session")
def random_instances():
    """``random_instances(count, …)``: instances of 9 to ``length`` tokens with 1 to ``predictions`` masked."""

    def make(count, *, length=16, predictions=3, vocabulary=40, seed=0):
        dice, instances = np.random.default_rng(seed), []
        for number in range(count):
            n, k = int(dice.integers(9, length + 1)), int(dice.integers(1, predictions + 1))
            labels = dice.integers(5, vocabulary, k)
            instances.append(
                MaskedInstance(
                    input_ids=dice.integers(5, vocabulary, n).astype(np.int32),
                    segment_ids=(np.arange(n) > n // 2).astype(np.int32),
                    positions=np.sort(dice.choice(n, k, replace=False)).astype(np.int32),
                    labels=labels.astype(np.int32),
                    swapped=bool(number % 2),
                )
            )
        return instances

    return make


@pytest.fixture(scope="session")
def write_records():
    """``write_records(path, instances, padding=None)``: a record file of them; returns its path as text."""

    def write(path, instances, padding=None):
        with open(path, "wb") as stream:
            writer = RecordWriter(stream, padding)
            for instance in instances:
                writer.write(instance)
        return str(path)

    return write


CHARACTERS = "天地人和上下左右东西南北春夏秋冬山水风云日月星光花草树木"


@pytest.fixture(scope="session")
def toy(tmp_path_factory):
    """A folder with a vocabulary, a network of one layer, and ``pairs``: LCQMC files of a separable task.

    Rows of one label use one half of the characters, so that any network learns them in a few updates.
    """
    folder = tmp_path_factory.mktemp("toy")
    (folder / "pairs").mkdir()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    (folder / "vocab.txt").write_text("\n".join([*special, *CHARACTERS]) + "\n", encoding="utf-8")
    AlbertConfig(
        vocab_size=len(special) + len(CHARACTERS),
        embedding_size=16,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        initializer_range=0.5,
        hidden_dropout_prob=0.1,
    ).to_json(folder / "albert_config.json")
    dice = np.random.default_rng(5)
    for split, count in (("train", 96), ("dev", 40), ("test", 41)):
        lines = []
        for number in range(count):
            half = CHARACTERS[:14] if number % 2 else CHARACTERS[14:]
            first, second = ("".join(dice.choice(list(half), dice.integers(2, 10))) for _ in range(2))
            lines.append(f"{first}\t{second}\t{number % 2}\n")
        (folder / "pairs" / f"{split}.txt").write_text("".join(lines), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def make_questions(tmp_path_factory):
    """A folder of SQuAD's files: the answer is what comes from the other half of the characters, a third have none."""

    def make(train, longest):
        folder, dice = tmp_path_factory.mktemp("questions"), np.random.default_rng(3)
        for split, count in (("train", train), ("dev", 30)):
            paragraphs = []
            for number in range(count):
                sizes = (dice.integers(1, longest + 1) for _ in range(2))
                before, after = ("".join(dice.choice(list(CHARACTERS[:14]), size)) for size in sizes)
                answer = "".join(dice.choice(list(CHARACTERS[14:]), dice.integers(1, 3))) if number % 3 else ""
                answers = [{"text": answer, "answer_start": len(before)}] if answer else []
                asked = {"id": f"{split}-{number}", "question": "天地", "answers": answers, "is_impossible": not answer}
                paragraphs.append({"context": before + answer + after, "qas": [asked]})
            text = json.dumps(
                {"version": "v2.0", "data": [{"title": "", "paragraphs": paragraphs}]}, ensure_ascii=False
            )
            (folder / f"{split}.json").write_text(text, encoding="utf-8")
        return folder

    return make


@pytest.fixture(scope="session")
def finetune_flags(toy):
    """``finetune_flags(output_dir, flag=value, …)``: a command line that learns ``toy``; None leaves a flag out."""

    def flags(output_dir, **changes):
        values = {
            "task_name": "lcqmc_pair",
            "do_train": "true",
            "do_eval": "true",
            "do_predict": "true",
            "data_dir": toy / "pairs",
            "vocab_file": toy / "vocab.txt",
            "bert_config_file": toy / "albert_config.json",
            "max_seq_length": 24,
            "train_batch_size": 8,
            "learning_rate": 0.01,
            "num_train_epochs": 4,
            "eval_steps": 12,
            "output_dir": output_dir,
        } | changes
        return [f"--{name}={value}" for name, value in values.items() if value is not None]

    return flags


@pytest.fixture(scope="session")
def finetuned(tmp_path_factory, finetune_flags):
    """The folder that those flags leave. Tests read it only."""
    from albert_zh.cli import main

    folder = tmp_path_factory.mktemp("finetuned") / "lcqmc"
    assert main(["finetune", *finetune_flags(folder)]) == 0
    return folder
