"""``create-data``: the whole road from raw text to record files.

    read_documents -> tag_documents -> sop_pairs -> pack -> mask_words -> RecordWriter

``process_shard`` walks it for one shard of the text, ``run`` gives every shard to a worker and keeps the books.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import itertools
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from albert_zh.files import InputError, atomic_writer, expand_paths, sha256, write_json
from albert_zh.pretrain.documents import read_documents
from albert_zh.pretrain.example import MaskedInstance, Padding
from albert_zh.pretrain.manifest import RunFiles, parts_folder
from albert_zh.pretrain.masking import mask_words, pack
from albert_zh.pretrain.options import CreateDataOptions
from albert_zh.pretrain.records import RecordWriter
from albert_zh.pretrain.segments import SPECIAL_TOKENS_PER_PAIR, Pair, sop_pairs
from albert_zh.pretrain.shards import ShardSpec, plan_shards
from albert_zh.pretrain.summary import NAME_WIDTH, shares, summary
from albert_zh.pretrain.tagging import TaggedDocument, TaggedText, tag_documents
from albert_zh.pretrain.tools import Tools, load_tools
from albert_zh.workers import available_cores, run_all

__all__ = ["CreateDataOptions", "process_shard", "run"]

#: Options that leave the records' bytes as they are: files count by content, and workers not at all.
_NOT_IN_IDENTITY = frozenset(
    "input_file output_file dev_output_file vocab_file spm_model_file user_dictionary num_shards num_workers "
    "overwrite".split()
)


def process_shard(spec: ShardSpec) -> dict[str, Any]:
    """Makes a shard's records and writes them, then ``NAME.json`` with their hashes and what was counted.

    Returns:
        The content of that file: ``number``, ``train`` and ``dev`` (instances, bytes, sha256), ``counts``.

    Raises:
        InputError: the text cannot be read, or the files cannot be written.
    """
    options, tools = spec.options, load_tools(spec.options)
    rng = np.random.default_rng((options.random_seed, spec.number))
    max_tokens = options.max_seq_length - SPECIAL_TOKENS_PER_PAIR
    padding = Padding(options.max_seq_length, options.max_predictions_per_seq) if options.pad_records else None
    counts = Counter(bytes=spec.bytes, documents_cut=sum(text.continues for text in spec.ranges))
    report: dict[str, Any] = {"number": spec.number}

    documents = itertools.chain.from_iterable(map(read_documents, spec.ranges))
    text = tag_documents(documents, tools.tokenizer, tools.segmenter, tools.is_clause_mark, max_tokens, counts)
    train, dev = _split(text.documents, options)
    counts["dev_documents"] = len(dev)
    for kind, chosen, passes in (("train", train, options.dupe_factor), ("dev", dev, 1)):
        pairs = _shuffled_pairs(text, chosen, passes, options, rng, counts)
        with atomic_writer(spec.path(kind), "wb") as stream:
            writer = RecordWriter(stream, padding)
            for instance in _instances(text, pairs, tools, rng, counts):
                writer.write(instance)
        report[kind] = {"instances": writer.instances, "bytes": writer.bytes, "sha256": writer.sha256}
    report["counts"] = dict(counts)
    write_json(spec.path("json"), report)
    return report


def run(options: CreateDataOptions) -> dict[str, Any]:
    """Makes the records and returns the manifest; goes on where a killed run with the same options stopped.

    Raises:
        InputError: an input or option cannot be used, no pair could be made, or the output cannot be written.
    """
    inputs = expand_paths(options.input_file)
    tools = load_tools(options)
    plan = plan_shards(inputs, len(options.outputs), options, str(parts_folder(options.outputs[0])))
    dev_output = Path(options.dev_output_file) if options.dev_share else None
    files = RunFiles(options.outputs, dev_output, _identity(options, tools, inputs))
    _check_paths(inputs, files)
    with files.claim(options.overwrite) as finished:
        if finished:
            print(f"Already done: {files.manifest}\n{summary(finished)}")
            return finished
        started = time.monotonic()
        reports, joined, made, workers = _run_shards(options, plan, files)
        counts = sum((Counter(report["counts"]) for report in reports), Counter())
        entries = [joined[number] for number in sorted(joined)]
        _check_something_came_out(files, reports, entries, counts, options)
        if files.dev_output:
            entries.append(files.join(len(files.outputs), reports, plan))
        manifest = files.finish(_manifest(options, inputs, plan, files, reports, entries, counts))
        seconds = time.monotonic() - started
        print(summary(manifest))
        speed = f"{made['instances'] / seconds:,.0f} instances/s, {made['bytes'] / 1e6 / seconds:.2f} MB of text/s"
        print(f"{'speed':{NAME_WIDTH}}{speed}, {seconds:.1f} s, {workers} worker(s)")
        return manifest


def _run_shards(
    options: CreateDataOptions, plan: list[ShardSpec], files: RunFiles
) -> tuple[list[dict[str, Any]], dict[int, dict[str, Any]], Counter[str], int]:
    """Runs the shards that are not there yet and joins output files as they fill.

    Returns:
        The reports of all shards in order, the entries of the training files by number, bytes and instances made now,
        and the number of workers.
    """
    joined = files.joined()
    reports = {spec.number: report for spec in plan if (report := files.shard_report(spec, spec.output in joined))}
    missing = [spec for spec in plan if spec.number not in reports]
    if reports:
        print(f"Going on: {len(reports)} of {len(plan)} shards are there from before.")
    shards: dict[int, list[ShardSpec]] = {}
    for spec in plan:
        shards.setdefault(spec.output, []).append(spec)

    def join_if_complete(number: int) -> None:
        if number not in joined and all(spec.number in reports for spec in shards[number]):
            joined[number] = files.join(number, [reports[spec.number] for spec in shards[number]], shards[number])

    made = Counter[str]()
    workers = max(1, min(options.num_workers or available_cores(), len(missing)))
    for number in shards:
        join_if_complete(number)
    try:
        with _progress(missing) as bar:
            for report in run_all(process_shard, missing, workers):
                reports[report["number"]] = report
                made.update(bytes=report["counts"]["bytes"], instances=report["counts"]["instances"])
                bar.set_postfix_str(f"{made['instances']:,} instances", refresh=False)
                bar.update(report["counts"]["bytes"] / 1e6)
                join_if_complete(plan[report["number"]].output)
    except KeyboardInterrupt:
        print(f"\nStopped. {len(reports)} of {len(plan)} shards are done; the same command goes on from there.")
        raise
    return [reports[spec.number] for spec in plan], joined, made, workers


def _manifest(
    options: CreateDataOptions,
    inputs: list[Path],
    plan: list[ShardSpec],
    files: RunFiles,
    reports: list[dict[str, Any]],
    entries: list[dict[str, Any]],
    counts: Counter[str],
) -> dict[str, Any]:
    """What the run was and what came of it. No clock: an equal run writes an equal manifest."""
    return {
        "package_version": files.identity["package_version"],
        "options": _plain(options),
        "identity": files.identity,
        "inputs": [
            {"file": str(path), "bytes": path.stat().st_size, "sha256": known}
            for path, known in zip(inputs, files.identity["inputs"], strict=True)
        ],
        "outputs": entries,
        "shards": [
            {
                "number": spec.number,
                "ranges": [[part.file_number, part.start, part.end] for part in spec.ranges],
                "train": report["train"],
                "dev": report["dev"],
            }
            for spec, report in zip(plan, reports, strict=True)
        ],
        "counts": dict(sorted(counts.items())),
        "shares": shares(counts),
    }


def _split(
    documents: list[TaggedDocument], options: CreateDataOptions
) -> tuple[list[TaggedDocument], list[TaggedDocument]]:
    """Documents for training and for evaluation, by a hash of the seed and of where each begins."""
    sides: tuple[list[TaggedDocument], list[TaggedDocument]] = [], []
    for document in documents:
        place = f"{options.random_seed}:{document.file_number}:{document.offset}"
        number = int.from_bytes(hashlib.blake2b(place.encode(), digest_size=8).digest(), "big")
        sides[number < options.dev_share * 2**64].append(document)
    return sides


def _shuffled_pairs(
    text: TaggedText,
    documents: list[TaggedDocument],
    passes: int,
    options: CreateDataOptions,
    rng: np.random.Generator,
    counts: Counter[str],
) -> list[Pair]:
    """Pairs of every pass over the documents, in random order. Adds what was skipped to ``counts``."""
    pairs: list[Pair] = []
    for document in documents * passes:
        made = sop_pairs(
            document.start,
            document.sentence_ends,
            text.word_starts,
            text.after_punctuation,
            options.max_seq_length - SPECIAL_TOKENS_PER_PAIR,
            options.short_seq_prob,
            rng,
        )
        pairs += made.pairs
        counts["skipped_stretches"] += len(made.skipped)
        counts["skipped_tokens"] += sum(end - start for start, end in made.skipped)
        counts["passes_without_pair"] += not made.pairs
        counts["pass_tokens"] += document.sentence_ends[-1] - document.start
    return [pairs[i] for i in rng.permutation(len(pairs))]


def _instances(
    text: TaggedText, pairs: list[Pair], tools: Tools, rng: np.random.Generator, counts: Counter[str]
) -> Iterator[MaskedInstance]:
    """Packs and masks the pairs one by one, so that no more than one instance is held. Adds to ``counts``."""
    tokens = masked = words = swapped = unmasked = 0
    for pair in pairs:
        packed = pack(text.ids, text.word_starts, pair, tools.tokenizer)
        instance = mask_words(packed, tools.masking, rng)
        yield instance
        tokens += len(packed.ids)
        masked += len(instance.positions)
        words += int(np.count_nonzero(packed.word_starts[instance.positions]))
        swapped += pair.swapped
        unmasked += not len(instance.positions)
    counts.update(
        instances=len(pairs),
        tokens=tokens,
        masked_tokens=masked,
        masked_words=words,
        swapped=swapped,
        instances_without_mask=unmasked,
    )


def _identity(options: CreateDataOptions, tools: Tools, inputs: list[Path]) -> dict[str, Any]:
    """What the bytes of the records depend on."""
    return {
        "package_version": importlib.metadata.version("albert-zh"),
        "options": {name: value for name, value in _plain(options).items() if name not in _NOT_IN_IDENTITY},
        "vocabulary": {"sha256": tools.tokenizer.fingerprint, "size": tools.tokenizer.vocab_size},
        "segmenter": {
            "name": tools.segmenter.name,
            "version": tools.segmenter.version,
            "sha256": tools.segmenter.fingerprint,
        },
        "outputs": len(options.outputs),
        "inputs": [sha256(path) for path in inputs],
    }


def _plain(options: CreateDataOptions) -> dict[str, Any]:
    values = dataclasses.asdict(options)
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def _check_paths(inputs: list[Path], files: RunFiles) -> None:
    seen = {path.resolve(): "is an input file too" for path in inputs}
    for path in files.all_outputs:
        if path.is_dir():
            raise InputError(f"{path}: is a folder. Name the file to write, such as {path / 'data.tfrecord'}.")
        if reason := seen.get(path.resolve()):
            raise InputError(f"{path}: this output file {reason}. Name another file.")
        seen[path.resolve()] = "is named twice"


def _progress(missing: list[ShardSpec]) -> tqdm:
    total = sum(spec.bytes for spec in missing) / 1e6
    layout = "{l_bar}{bar}| {n:.1f}/{total:.1f} MB [{elapsed}<{remaining}{postfix}]"
    return tqdm(total=total, desc="create-data", unit="MB", bar_format=layout, disable=None, dynamic_ncols=True)


def _check_something_came_out(
    files: RunFiles,
    reports: list[dict[str, Any]],
    entries: list[dict[str, Any]],
    counts: Counter[str],
    options: CreateDataOptions,
) -> None:
    """Raises InputError, all files removed, when one of the files would hold nothing."""
    problem = None
    if counts["instances"] == 0:
        problem = (
            f"{', '.join(options.input_file)}: no pair could be made of {counts['sentences']:,} sentence(s) in "
            f"{counts['documents']:,} document(s): a pair needs two words at least. Check the text and its line breaks."
        )
    elif empty := [entry["file"] for entry in entries if not entry["instances"]]:
        problem = f"{empty[0]}: no pair is left for this file. Name fewer output files, or lower --dev_share."
    elif files.dev_output and not any(report["dev"]["instances"] for report in reports):
        problem = (
            f"{files.dev_output}: no document fell into --dev_share={options.dev_share} of {counts['documents']:,}. "
            "Raise the share, or set another --random_seed."
        )
    if problem:
        files.discard()
        raise InputError(problem)
