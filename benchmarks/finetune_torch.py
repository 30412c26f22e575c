"""The other side of ``finetune.py``: updates of transformers' ALBERT in PyTorch, in an environment of its own.

Started by ``finetune.py`` with a file of rows and a config; answers each line ``WIDTH UPDATES`` on standard input
(width 0: the longest row of the batch) with the seconds those updates took. The loop is the one people write: rows in
random order, AdamW, the gradient clipped at norm 1.
"""

import itertools
import json
import sys
import time

import numpy as np
import torch
import transformers


def main() -> None:
    rows_file, config_file, batch = sys.argv[1], sys.argv[2], int(sys.argv[3])
    held = np.load(rows_file)
    bounds, labels = held["bounds"], torch.tensor(held["labels"], dtype=torch.long)
    ids, segments = (
        [held[name][start:end] for start, end in itertools.pairwise(bounds)] for name in ("ids", "segments")
    )
    with open(config_file, encoding="utf-8") as stream:
        values = json.load(stream)
    shape = {name: value for name, value in values.items() if name not in ("family", "ln_type")}
    model = transformers.AlbertForSequenceClassification(transformers.AlbertConfig(**shape, num_labels=2))
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
    generator = np.random.default_rng(1)
    order: list[int] = []
    print(f"torch {torch.__version__}, transformers {transformers.__version__}", flush=True)
    for line in sys.stdin:
        width, updates = map(int, line.split())
        started = time.perf_counter()
        for _ in range(updates):
            if len(order) < batch:
                order = generator.permutation(len(ids)).tolist()
            chosen, order = order[:batch], order[batch:]
            wide = width or max(len(ids[row]) for row in chosen)
            inputs = {name: torch.zeros((batch, wide), dtype=torch.long) for name in ("input_ids", "token_type_ids")}
            mask = torch.zeros((batch, wide), dtype=torch.long)
            for place, row in enumerate(chosen):
                size = len(ids[row])
                inputs["input_ids"][place, :size] = torch.from_numpy(ids[row])
                inputs["token_type_ids"][place, :size] = torch.from_numpy(segments[row])
                mask[place, :size] = 1
            loss = model(**inputs, attention_mask=mask, labels=labels[chosen]).loss
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        print(time.perf_counter() - started, flush=True)


if __name__ == "__main__":
    main()
