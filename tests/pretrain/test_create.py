import contextlib
import errno
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from albert_zh.files import InputError
from albert_zh.pretrain.create import CreateDataOptions, run
from albert_zh.pretrain.example import parse_instance
from albert_zh.pretrain.records import RecordIndex
from albert_zh.text.words import make_segmenter, tag_words


def files_of(options):
    return {path.name: path.read_bytes() for path in options.outputs}


def instances_of(path):
    with RecordIndex(path) as index:
        return [parse_instance(payload) for payload in index.read_many(range(len(index)))]


def left_in(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


# -------------------------------------------------------------------------------------------------------------- records


def test_the_same_bytes_come_out_whatever_the_number_of_workers(options, tmp_path, small_shards):
    made = {}
    for workers in (1, 2, 3):
        chosen = options(num_workers=workers, output_file=str(tmp_path / str(workers) / "tf.tfrecord"))
        manifest = run(chosen)
        assert len(manifest["shards"]) >= 4
        made[workers] = files_of(chosen), manifest["counts"], manifest["run"]
    assert made[1] == made[2] == made[3]


def test_another_seed_gives_other_records(options, tmp_path):
    run(options())
    other = options(random_seed=1, output_file=str(tmp_path / "other.tfrecord"))
    run(other)
    assert files_of(options())["tf.tfrecord"] != files_of(other)["other.tfrecord"]


def test_every_instance_keeps_the_laws_of_its_schema(options, tokenizer):
    run(options())
    instances = instances_of(options().outputs[0])
    cls, sep = tokenizer.cls_id, tokenizer.sep_id
    for instance in instances:
        ids, segments = instance.original_ids, instance.segment_ids
        assert len(ids) <= 64
        assert len(instance.positions) <= 8
        first = int(np.argmax(segments == 1)) - 1
        assert [ids[0], ids[first], ids[-1]] == [cls, sep, sep]
        assert 1 < first < len(ids) - 2  # both segments hold something
        assert (np.diff(segments) >= 0).all()


def test_all_passes_together_hold_every_token_of_the_text(options, corpus_text, tokenizer):
    manifest = run(options(dupe_factor=3))
    lines = [line for line in corpus_text.split("\n") if line]
    expected = np.bincount(
        np.concatenate([tokenizer.encode(line).ids for line in lines]), minlength=tokenizer.vocab_size
    )
    special = [tokenizer.cls_id, tokenizer.sep_id]
    ids = np.concatenate([instance.original_ids for instance in instances_of(options().outputs[0])])
    found = np.bincount(ids[~np.isin(ids, special)], minlength=tokenizer.vocab_size)
    missing = 3 * expected - found
    assert (missing >= 0).all()
    assert missing.sum() == manifest["counts"].get("skipped_tokens", 0)
    assert manifest["counts"].get("skipped_tokens", 0) < 0.05 * found.sum()


def test_masked_words_are_those_of_the_segmenter(options, corpus_text, tokenizer):
    words = set()
    for line in corpus_text.split("\n"):
        for ids, numbers in tag_words([line], tokenizer, make_segmenter()):
            words |= {tuple(ids[numbers == number].tolist()) for number in range(numbers.max(initial=-1) + 1)}
    run(options(ngram=1, masked_lm_prob=0.02))
    for instance in instances_of(options().outputs[0]):
        if len(instance.positions) and instance.positions[-1] - instance.positions[0] < len(instance.positions):
            assert tuple(instance.labels.tolist()) in words  # one word, whole


def test_the_manifest_says_what_was_made(options, vocab_file, corpus, corpus_text):
    manifest = run(options(dupe_factor=4))
    assert json.loads(options().outputs[0].with_name("tf.tfrecord.manifest.json").read_text()) == manifest
    counts = manifest["counts"]
    assert counts["documents"] == 40
    assert counts["sentences"] == sum(bool(line) for line in corpus_text.split("\n"))
    instances = instances_of(options().outputs[0])
    assert counts["instances"] == len(instances) == manifest["outputs"][0]["instances"]
    assert counts["tokens"] == sum(len(instance.input_ids) for instance in instances)
    assert counts["masked_tokens"] == sum(len(instance.positions) for instance in instances)
    assert counts["swapped"] == sum(instance.swapped for instance in instances)
    assert manifest["shares"]["masked_tokens"] == pytest.approx(0.1, abs=0.02)
    assert manifest["identity"]["segmenter"]["name"] == "rjieba"
    assert manifest["inputs"][0]["file"] == str(corpus)
    assert manifest["options"]["vocab_file"] == vocab_file


def test_many_inputs_and_globs_become_many_outputs(options, corpus_text, tmp_path, small_shards):
    for name in ("a.txt", "b.txt", "c.txt"):
        (tmp_path / name).write_text(corpus_text, encoding="utf-8")
    pattern = options(input_file=(f"{tmp_path}/[ab].txt", f"{tmp_path}/c.txt"), num_shards=3)
    manifest = run(pattern)
    assert left_in(tmp_path / "out") == [
        "tf-00000-of-00003.tfrecord",
        "tf-00000-of-00003.tfrecord.manifest.json",
        "tf-00001-of-00003.tfrecord",
        "tf-00002-of-00003.tfrecord",
    ]
    assert len(manifest["inputs"]) == 3
    assert sum(len(instances_of(path)) for path in pattern.outputs) == manifest["counts"]["instances"]
    named = options(output_file=f"{tmp_path}/x.tfrecord,{tmp_path}/y.tfrecord")
    run(named)
    assert all(len(instances_of(path)) for path in named.outputs)


def test_held_out_documents_are_in_no_training_file(options, corpus_text, tmp_path, tokenizer, small_shards):
    numbered = "\n\n".join("今年的苹果特别甜。" * (i + 1) + "\n下雨了" for i in range(40))
    (tmp_path / "news.txt").write_text(numbered, encoding="utf-8")
    chosen = options(
        dev_share=0.3, dev_output_file=str(tmp_path / "out" / "dev.tfrecord"), max_seq_length=512, short_seq_prob=0.0
    )
    manifest = run(chosen)
    lengths = [{len(i.input_ids) for i in instances_of(path)} for path in (chosen.outputs[0], chosen.dev_output_file)]
    assert not lengths[0] & lengths[1]  # each document has a length of its own
    assert len(lengths[0] | lengths[1]) == 40
    assert manifest["counts"]["dev_documents"] == len(lengths[1]) == manifest["outputs"][1]["instances"]
    assert 4 <= len(lengths[1]) <= 20


def test_padded_records_hold_the_same_instances(options, tmp_path):
    run(options())
    padded = options(pad_records=True, output_file=str(tmp_path / "padded.tfrecord"))
    run(padded)
    for one, other in zip(instances_of(options().outputs[0]), instances_of(padded.outputs[0]), strict=True):
        np.testing.assert_array_equal(one.input_ids, other.input_ids)
        np.testing.assert_array_equal(one.labels, other.labels)


@pytest.mark.parametrize("change", [{"do_whole_word_mask": False}, {"non_chinese": True}, {"segmenter": "none"}])
def test_other_notions_of_a_word_work(options, change):
    assert run(options(**change))["counts"]["instances"]


def test_the_old_command_line_makes_one_file_of_one_file(corpus, tmp_path, vocab_file):
    out = tmp_path / "tf_news_2016_zh_raw_news2016zh_1.tfrecord"
    manifest = run(CreateDataOptions(str(corpus), str(out), vocab_file, num_workers=1))
    assert manifest["counts"]["instances"] == len(RecordIndex(out))


# ----------------------------------------------------------------------------------------------------------- bad inputs


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_seq_length": 513}, r"--max_seq_length=513: must be from 8 to 512"),
        ({"max_seq_length": 7}, r"--max_seq_length=7: must be from 8"),
        ({"max_predictions_per_seq": 0}, r"--max_predictions_per_seq=0"),
        ({"masked_lm_prob": 15}, r"--masked_lm_prob=15: must be above 0 and below 1"),
        ({"ngram": 0}, r"--ngram=0"),
        ({"dupe_factor": 0}, r"--dupe_factor=0"),
        ({"short_seq_prob": -1}, r"--short_seq_prob=-1"),
        ({"random_seed": -1}, r"--random_seed=-1"),
        ({"dev_share": 0.1}, r"--dev_share and --dev_output_file belong together"),
        ({"input_file": ""}, r"no text was named"),
        ({"output_file": ""}, r"no output was named"),
        ({"num_shards": 2, "output_file": "a,b"}, r"--num_shards makes many files of one"),
    ],
)
def test_options_out_of_range_are_refused_by_name(options, change, message):
    with pytest.raises(InputError, match=message):
        options(**change)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"news\.txt: the file is empty"),
        ("下雨了。\n\n\n".encode() * 200 + b"\xb0\xa1\xa1\n", r"news\.txt:601: not UTF-8"),
        ("下雨了。\n\n".encode() + "长".encode() * 400_000, r"news\.txt:3: the line is longer than"),
        ("雨\n".encode(), r"news\.txt: no pair could be made of 1 sentence\(s\) in 1 document\(s\)"),
        (b"\n\n \n\n", r"no pair could be made of 0 sentence"),
    ],
)
def test_a_bad_text_is_named_and_leaves_nothing(options, corpus, tmp_path, small_shards, content, message, workers):
    corpus.write_bytes(content)
    with pytest.raises(InputError, match=message):
        run(options(num_workers=workers))
    assert left_in(tmp_path / "out") in ([], [".tf.tfrecord.parts"])
    assert not list(tmp_path.rglob("*.tmp"))
    assert not list(tmp_path.rglob("*.tfrecord"))


def test_missing_files_are_named(options, tmp_path):
    with pytest.raises(InputError, match=r"nothing\.txt: no such file"):
        run(options(input_file=str(tmp_path / "nothing.txt")))
    with pytest.raises(InputError, match=r"nothing\.vocab"):
        run(options(vocab_file=str(tmp_path / "nothing.vocab")))


def test_a_vocabulary_without_mask_is_named(options, tmp_path, vocab_file):
    path = tmp_path / "bad.txt"
    with open(vocab_file, encoding="utf-8") as stream:
        path.write_text(stream.read().replace("[MASK]\n", ""), encoding="utf-8")
    with pytest.raises(InputError, match=r"bad\.txt.*\[MASK\]"):
        run(options(vocab_file=str(path)))


def test_more_outputs_than_the_text_can_fill_are_refused(options, corpus):
    corpus.write_text("下雨了，没有人。\n", encoding="utf-8")
    with pytest.raises(InputError, match="4 output files, but the text"):
        run(options(num_shards=4))


def test_paths_that_would_overwrite_each_other_are_refused(options, corpus, tmp_path):
    with pytest.raises(InputError, match="is an input file too"):
        run(options(output_file=str(corpus)))
    with pytest.raises(InputError, match="is named twice"):
        run(options(output_file=f"{tmp_path}/x,{tmp_path}/x"))
    with pytest.raises(InputError, match="is a folder"):
        run(options(output_file=str(tmp_path)))


def test_a_share_that_keeps_out_no_document_is_refused(options, corpus, tmp_path):
    corpus.write_text("下雨了，没有人。\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"no document fell into|no pair is left"):
        run(options(dev_share=0.0001, dev_output_file=str(tmp_path / "dev")))


@pytest.mark.parametrize("after", [0, 1, 3, 100])
def test_a_full_disk_is_said_and_leaves_nothing_half_written(options, tmp_path, monkeypatch, small_shards, after):
    """``after`` files could still be written."""
    real, written = os.fsync, []

    def full(handle):
        written.append(handle)
        if len(written) > after:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with contextlib.suppress(InputError):
            run(options())
            assert after == 100
        if after < 100:
            assert len(written) > after
    assert not list(tmp_path.rglob("*.tmp"))
    assert options().outputs[0].exists() == (after == 100)
    run(options())


def test_a_full_disk_names_the_file(options, monkeypatch):
    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="the disk is full"):
        run(options())


def test_no_tensorflow_is_loaded(tmp_path):
    code = "import sys, albert_zh.pretrain.create, albert_zh.pretrain.inspect; print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
