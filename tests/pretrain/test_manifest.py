"""One run and the files it owns: what is used again, what is refused, what a kill leaves."""

import json
import os
import re
import signal
import subprocess
import sys
import textwrap

import pytest

from albert_zh.files import InputError
from albert_zh.pretrain import create
from albert_zh.pretrain.create import run
from albert_zh.pretrain.manifest import RunFiles


def files_of(options):
    return {path.name: path.read_bytes() for path in options.outputs}


def left_in(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_an_equal_run_reuses_what_is_there(options, capsys):
    first = run(options())
    stamp = options().outputs[0].stat().st_mtime_ns
    assert run(options(num_workers=2)) == first
    assert "Already done" in capsys.readouterr().out
    assert options().outputs[0].stat().st_mtime_ns == stamp


def test_an_output_changed_since_is_made_again(options):
    run(options())
    good = files_of(options())
    options().outputs[0].write_bytes(b"damaged")
    run(options())
    assert files_of(options()) == good


def test_another_runs_records_are_not_replaced_unless_told(options, tmp_path):
    run(options())
    good = files_of(options())
    with pytest.raises(
        InputError, match=r"manifest\.json: holds the records of another run.*dupe_factor: there 2, here 5"
    ):
        run(options(dupe_factor=5))
    assert files_of(options()) == good
    run(options(dupe_factor=5, overwrite=True))
    assert files_of(options()) != good
    foreign = tmp_path / "foreign.tfrecord"
    foreign.write_bytes(b"somebody else's")
    with pytest.raises(InputError, match="without a manifest"):
        run(options(output_file=str(foreign)))
    assert foreign.read_bytes() == b"somebody else's"


def test_a_changed_text_is_another_run(options, corpus):
    run(options())
    corpus.write_text(corpus.read_text(encoding="utf-8") + "\n下雨了，没有人。\n", encoding="utf-8")
    with pytest.raises(InputError, match="another run"):
        run(options())


SCRIPT = """
    import json, multiprocessing, os, signal, sys
    from albert_zh.pretrain import create, records, shards
    shards.MIN_SHARD_BYTES = 1500
    options = create.CreateDataOptions(**json.loads(sys.argv[1]))
    def main():
    {body}
        create.run(options)
    if __name__ == "__main__":
        main()
"""


def run_script(tmp_path, options, body):
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT).format(body=textwrap.indent(textwrap.dedent(body), "    ")))
    values = json.dumps(create._plain(options))
    return subprocess.Popen(
        [sys.executable, str(script), values], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip


@pytest.mark.parametrize("where", ["in the middle of a shard", "between two outputs", "before the manifest"])
def test_a_killed_run_resumes_to_the_same_bytes(options, tmp_path, small_shards, capsys, where):
    """kill -9 while a shard is written, when an output has been joined and its parts are gone, or at the very end."""
    chosen = options(num_shards=2, dev_share=0.2, dev_output_file=str(tmp_path / "out" / "dev.tfrecord"))
    body = {
        "in the middle of a shard": """
            write = records.RecordWriter.write
            def dying(self, instance, count=[0]):
                write(self, instance)
                count[0] += 1
                if count[0] == 150:
                    self._stream.flush()
                    os.kill(os.getpid(), signal.SIGKILL)
            records.RecordWriter.write = dying
        """,
        "before the manifest": """
            def dying(self, manifest):
                os.kill(os.getpid(), signal.SIGKILL)
            create.RunFiles.finish = dying
        """,
        "between two outputs": """
            join = create.RunFiles.join
            def dying(self, number, *rest):
                join(self, number, *rest)
                os.kill(os.getpid(), signal.SIGKILL)
            create.RunFiles.join = dying
        """,
    }[where]
    killed = run_script(tmp_path, chosen, body)
    killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL
    parts = tmp_path / "out" / ".tf-00000-of-00002.tfrecord.parts"
    finished = {path.name: path.stat().st_mtime_ns for path in parts.glob("shard-*.json")}
    assert finished
    if where.startswith("in"):
        assert list(parts.glob("*.tmp"))
    manifest = run(chosen)
    if where.startswith("before"):
        shards = len(manifest["shards"])
        assert f"{shards} of {shards} shards are there from before" in capsys.readouterr().out
    assert left_in(tmp_path / "out") == [
        "dev.tfrecord",
        "tf-00000-of-00002.tfrecord",
        "tf-00000-of-00002.tfrecord.manifest.json",
        "tf-00001-of-00002.tfrecord",
    ]
    whole = options(
        num_shards=2, dev_share=0.2, dev_output_file=str(tmp_path / "w" / "dev.tfrecord"),
        output_file=str(tmp_path / "w" / "tf.tfrecord"),
    )  # fmt: skip
    assert run(whole)["counts"] == manifest["counts"]
    assert files_of(whole) == files_of(chosen)
    assert (tmp_path / "w" / "dev.tfrecord").read_bytes() == (tmp_path / "out" / "dev.tfrecord").read_bytes()


def test_finished_shards_are_not_made_again(options, monkeypatch, small_shards):
    def interrupted(function, specs, workers):
        yield function(specs[0])
        raise KeyboardInterrupt

    monkeypatch.setattr(create, "run_all", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(options())
    asked = []
    monkeypatch.setattr(create, "run_all", lambda function, specs, workers: asked.extend(specs) or map(function, specs))
    run(options())
    assert [spec.number for spec in asked] == list(range(1, len(asked) + 1))


def test_an_unfinished_run_with_other_options_is_not_swept_away(options, monkeypatch, small_shards):
    def interrupted(function, specs, workers):
        yield function(specs[0])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(create, "run_all", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(options())
    with pytest.raises(InputError, match=r"unfinished run with other options.*ngram"):
        run(options(ngram=2))
    run(options(ngram=2, overwrite=True))


def test_ctrl_c_ends_the_workers_and_leaves_nothing_half_written(options, tmp_path):
    chosen = options(num_workers=2)
    body = """
        run_all = create.run_all
        def interrupted(*rest):
            for report in run_all(*rest):
                yield report
                print("workers", *(child.pid for child in multiprocessing.active_children()))
                os.killpg(0, signal.SIGINT)
        create.run_all = interrupted
    """
    process = run_script(tmp_path, chosen, body)
    out, err = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "the same command goes on" in out
    assert err.count("KeyboardInterrupt") == 1  # the parent's alone
    assert not chosen.outputs[0].exists()
    assert not list((tmp_path / "out").rglob("*.tmp"))
    workers = re.search(r"workers (.+)", out)[1].split()
    assert len(workers) == 2
    for worker in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(int(worker), 0)
    run(chosen)


def test_a_second_process_on_the_same_output_is_refused(options, monkeypatch):
    def second(function, specs, workers):
        with pytest.raises(InputError, match="another process is writing it"):
            run(options())
        return map(function, specs)

    monkeypatch.setattr(create, "run_all", second)
    run(options())


def test_a_second_process_is_refused_while_another_runs_leftovers_are_replaced(tmp_path):
    old, new = (RunFiles((tmp_path / "a.tfrecord",), None, {"ngram": ngram}) for ngram in (1, 2))
    with old.claim(overwrite=False):
        (old.parts / "shard-0.train").touch()
    with new.claim(overwrite=True):
        assert not (new.parts / "shard-0.train").exists()
        with pytest.raises(InputError, match="another process is writing it"), new.claim(overwrite=True):
            pass
