"""The command line: a command gets its options, an error its line and status, an old Python the way out."""

from __future__ import annotations

import importlib
import io
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from albert_zh import cli
from albert_zh.cli import COMMANDS, main
from albert_zh.files import InputError
from albert_zh.flags import flags_of

ROOT = Path(cli.CHECKOUT)


@dataclass(frozen=True)
class Sample:
    input_file: tuple[str, ...] = field(metadata={"help": "Records to read."})
    master: str = field(default="", metadata={"ignored": "there are no sessions any more"})


@pytest.fixture
def command(monkeypatch):
    """Puts one command in the table that does what the test says."""
    module = importlib.import_module(__name__)

    def install(function):
        monkeypatch.setattr(module, "run_sample", function, raising=False)
        monkeypatch.setattr(cli, "COMMANDS", {"sample": (__name__, "Sample", "run_sample", "a sample")})

    return install


def test_a_command_gets_its_options(command, capsys):
    seen = []
    command(seen.append)
    assert main(["sample", "--input_file=a", "--master=x"]) == 0
    assert seen == [Sample(("a",))]
    assert "note: --master" in capsys.readouterr().err


def test_bad_input_is_one_line_and_status_2(command, capsys):
    def fail(_: Sample) -> None:
        raise InputError("a.txt:3: not UTF-8. Convert it.")

    command(fail)
    assert main(["sample", "--input_file=a"]) == 2
    assert capsys.readouterr().err == "error: a.txt:3: not UTF-8. Convert it.\n"


def test_ctrl_c_is_status_130_and_says_how_to_go_on(command, capsys):
    def stop(_: Sample) -> None:
        raise KeyboardInterrupt

    command(stop)
    assert main(["sample", "--input_file=a"]) == 130
    assert "run the same command again to go on" in capsys.readouterr().err


def test_a_bug_is_a_traceback(command):
    command(lambda _: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        main(["sample", "--input_file=a"])


def test_an_unknown_command_is_answered_with_the_nearest(capsys):
    assert main(["pretrian"]) == 2
    assert "Did you mean pretrain?" in capsys.readouterr().err
    assert main([]) == 2
    assert main(["--help"]) == 0
    assert all(f"  {name} " in capsys.readouterr().out for name in ["create-data"])


def test_a_reader_that_leaves_is_no_error():
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "albert_zh", "models"], stdout=write, stderr=subprocess.PIPE, cwd=ROOT, check=False
    )
    os.close(write)
    assert done.returncode == 141
    assert done.stderr == b""


def test_a_worker_s_broken_pipe_is_not_hidden(command, monkeypatch):
    def broken(_: Sample) -> None:
        raise BrokenPipeError

    command(broken)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(open(os.devnull, "wb")))
    with pytest.raises(BrokenPipeError):
        main(["sample", "--input_file=a"])


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_without_tensorflow(name):
    program = (
        "import sys; from albert_zh.cli import main; status = main([sys.argv[1], '--help']); "
        "assert not {'tensorflow', 'keras'} & set(sys.modules), 'heavy import'; sys.exit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, name], capture_output=True, text=True, cwd=ROOT, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert f"usage: albert-zh {name} " in done.stdout
    flags = flags_of(getattr(importlib.import_module(COMMANDS[name][0]), COMMANDS[name][1]))
    assert all(flag.help or flag.ignored or flag.refused for flag in flags), "every flag has its unit and reason"


def test_the_overview_imports_nothing_heavy():
    program = (
        "import sys; from albert_zh.cli import main; main(['--help']); "
        "assert not {'tensorflow', 'keras', 'numpy', 'requests', 'jieba'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, cwd=ROOT, timeout=60)


# ---------------------------------------------------------------------------------------------------------------------
# The environment


@pytest.mark.parametrize("backend", ["torch", ""])
def test_tensorflow_is_used_whatever_backend_keras_is_told(tmp_path, backend):
    (tmp_path / "keras.json").write_text('{"backend": "jax"}')
    done = subprocess.run(
        [sys.executable, "-m", "albert_zh", "predict", str(tmp_path), "--text", "天"],
        env={**os.environ, "KERAS_BACKEND": backend, "KERAS_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    lines = done.stderr.splitlines()
    assert "no task.json" in lines[-1]
    assert lines[:-1] == (["note: KERAS_BACKEND=torch: not used, albert-zh runs on tensorflow"] if backend else [])


def test_python_code_gets_tensorflow_too_or_is_told_to_set_it(tmp_path):
    (tmp_path / "keras.json").write_text('{"backend": "jax"}')

    def imported(backend: str) -> str:
        variables = {**os.environ, "KERAS_BACKEND": backend, "KERAS_HOME": str(tmp_path)}
        program = [sys.executable, "-c", "from albert_zh import load_pretrained"]
        done = subprocess.run(program, env=variables, capture_output=True, text=True, cwd=ROOT, check=False)
        return "" if done.returncode == 0 else done.stderr.splitlines()[-1]

    assert imported("") == ""
    assert "ImportError: Keras is set to run on 'torch'" in imported("torch")


@pytest.fixture
def bare_checkout(tmp_path):
    """A checkout with the command line and one entry, to be run by a Python without packages (-S)."""
    (tmp_path / "albert_zh").mkdir()
    for name in ("__init__.py", "__main__.py", "cli.py", "flags.py", "files.py"):
        shutil.copy(ROOT / "albert_zh" / name, tmp_path / "albert_zh" / name)
    shutil.copy(ROOT / "run_pretraining.py", tmp_path)
    return tmp_path


def without_packages(folder: Path, *words: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-S", *words], capture_output=True, text=True, cwd=folder, check=False)


def test_a_python_without_the_packages_hands_over_to_the_checkout_s_own(bare_checkout):
    python = bare_checkout / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\nprintf "%s|" own "$@"\n')
    python.chmod(0o755)
    done = without_packages(bare_checkout, "run_pretraining.py", "--input_file=a", "b c")
    assert (done.stdout, done.returncode) == ("own|run_pretraining.py|--input_file=a|b c|", 0)
    done = without_packages(bare_checkout, "-m", "albert_zh", "create-data", "--batch=1")
    assert done.stdout == "own|-m|albert_zh|create-data|--batch=1|"


def test_without_packages_and_without_the_checkout_s_own_python_the_way_out_is_told(bare_checkout):
    done = without_packages(bare_checkout, "run_pretraining.py")
    assert done.returncode == 2
    assert "has no keras" in done.stderr
    assert "bash quickstart.sh" in done.stderr
    assert "pip install -e '.[cpu]'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("entry", "command_name"),
    [
        ("create_pretraining_data.py", "create-data"),
        ("run_pretraining.py", "pretrain"),
        ("run_pretraining_google.py", "pretrain"),
        ("run_classifier.py", "finetune"),
        ("run_classifier_sp_google.py", "finetune"),
        ("test_changes.py", "changes"),
    ],
)
def test_an_entry_is_its_command_under_the_old_name(entry, command_name):
    text = (ROOT / entry).read_text()
    assert len(text.splitlines()) < 10
    assert f'main(["{command_name}", *sys.argv[1:]], sys.argv[0])' in text
    done = subprocess.run([sys.executable, entry, "--help"], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"usage: {entry} ")
