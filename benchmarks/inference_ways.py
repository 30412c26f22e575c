"""One way of answering one text at a time, in a process of its own; started by ``inference.py``.

    python benchmarks/inference_ways.py WAY MODEL THREADS ROWS

Says what it is in one line, then answers each line ``CASE REPEATS`` on standard input with one line of JSON: the
milliseconds of every call, the processor's a call (of all threads), and the logits of the first round. A case is rows
of ``ROWS`` (.npz), answered one after the other as often as asked; a call goes from arrays of ids to an array of
logits, so what a change of length costs counts.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

Call = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
NAMES = ("input_ids", "input_mask", "segment_ids")


def litert(model: str, threads: int) -> tuple[str, Call]:
    """A .tflite file in LiteRT's interpreter; the inputs are resized when the length changes."""
    import ai_edge_litert
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=model, num_threads=threads)
    (key, signature), *_ = interpreter.get_signature_list().items()
    runner = interpreter.get_signature_runner(key)
    output = "logits" if "logits" in signature["outputs"] else signature["outputs"][0]

    def call(*arrays: np.ndarray) -> np.ndarray:
        return runner(**dict(zip(NAMES, arrays, strict=True)))[output]

    return f"LiteRT {ai_edge_litert.__version__}", call


def _keras(model: str, threads: int):
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    from albert_zh.opened import open_finetuned

    return tf, open_finetuned(model).model


def keras(model: str, threads: int) -> tuple[str, Call]:
    """The Keras model called as it is."""
    tf, network = _keras(model, threads)
    return f"Keras on TensorFlow {tf.__version__}", lambda *arrays: np.asarray(
        network(dict(zip(NAMES, arrays, strict=True)), heads_only=True)["logits"]
    )


def network(model: str, threads: int) -> tuple[str, Call]:
    """The Keras model as this package's predictors run it: one graph for any length."""
    tf, loaded = _keras(model, threads)
    from albert_zh.serve.network import logits_network

    compiled = logits_network(loaded)
    return f"graph on TensorFlow {tf.__version__}", lambda *arrays: compiled(dict(zip(NAMES, arrays, strict=True)))


def torch(model: str, threads: int) -> tuple[str, Call]:
    """transformers' ALBERT in PyTorch, not compiled, of a Hugging Face folder."""
    import torch
    import transformers

    torch.set_num_threads(threads)
    network = transformers.AlbertForSequenceClassification.from_pretrained(model).eval()

    def call(*arrays: np.ndarray) -> np.ndarray:
        ids, mask, segments = (torch.from_numpy(array.astype(np.int64)) for array in arrays)
        with torch.inference_mode():
            return network(input_ids=ids, attention_mask=mask, token_type_ids=segments).logits.numpy()

    return f"PyTorch {torch.__version__}, transformers {transformers.__version__}", call


def onnx(model: str, threads: int) -> tuple[str, Call]:
    """An ONNX file in ONNX Runtime; where there is none, PyTorch makes it of the Hugging Face folder around it."""
    import onnxruntime

    if not Path(model).exists():
        _export(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    types = {item.name: np.int64 if "int64" in item.type else np.int32 for item in session.get_inputs()}
    renamed = {"attention_mask": "input_mask", "token_type_ids": "segment_ids"}

    def call(*arrays: np.ndarray) -> np.ndarray:
        held = dict(zip(NAMES, arrays, strict=True))
        return session.run(
            ["logits"], {name: held[renamed.get(name, name)].astype(kind) for name, kind in types.items()}
        )[0]

    return f"ONNX Runtime {onnxruntime.__version__}", call


def _export(model: str) -> None:
    """The file as transformers' ALBERT becomes one by PyTorch's own exporter, for any length."""
    import torch
    import transformers

    class Logits(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.network = transformers.AlbertForSequenceClassification.from_pretrained(Path(model).parent).eval()

        def forward(self, input_ids, attention_mask, token_type_ids):
            return self.network(
                input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
            ).logits

    ids, mask, segments = (
        torch.ones((1, 16), dtype=torch.long) for _ in range(3)
    )  # one tensor twice becomes one input
    length = torch.export.Dim("length", min=4, max=512)
    torch.onnx.export(
        Logits().eval(),
        (ids, mask, segments),
        model,
        input_names=["input_ids", "attention_mask", "token_type_ids"],
        output_names=["logits"],
        dynamic_shapes=({1: length}, {1: length}, {1: length}),
        dynamo=True,
        verbose=False,
        external_data=False,
    )


WAYS = {"litert": litert, "keras": keras, "network": network, "torch": torch, "onnx": onnx}


def main() -> None:
    way, model, threads, rows = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not mix with the answers
    says, call = WAYS[way](model, threads)
    held = np.load(rows)
    cases: dict[str, list[tuple[np.ndarray, ...]]] = {}
    for name in held.files:
        case = name.split("/")[0]
        ids, segments = held[name]
        cases.setdefault(case, []).append((ids[None], np.ones_like(ids)[None], segments[None]))
    print(says, file=answer, flush=True)
    for line in sys.stdin:
        case, repeats = line.split()
        spent, logits, begun = [], [], time.process_time()
        for turn in range(int(repeats)):
            for arrays in cases[case]:
                started = time.perf_counter()
                found = call(*arrays)
                spent.append((time.perf_counter() - started) * 1e3)
                if not turn:
                    logits.append(found[0].tolist())
        cpu = (time.process_time() - begun) * 1e3 / len(spent)
        print(json.dumps({"ms": spent, "cpu_ms": cpu, "logits": logits}), file=answer, flush=True)


if __name__ == "__main__":
    main()
