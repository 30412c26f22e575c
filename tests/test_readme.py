"""The READMEs say what is: every command is accepted as shown, every file is there, the picture is the code."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from albert_zh.cli import CHECKOUT, COMMANDS
from albert_zh.flags import flags_of, parse_options

ROOT = Path(CHECKOUT)
READMES = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README_zh.md")}
DOCUMENTS = READMES | {name: (ROOT / name).read_text(encoding="utf-8") for name in ("CONTRIBUTING.md", "CHANGELOG.md")}

#: Scripts that stand for a command, and the flags they have beside the command's own.
SCRIPTS = {
    "create_pretraining_data.py": ("create-data", set()),
    "create_pretrain_data.sh": ("create-data", set()),
    "run_pretraining.py": ("pretrain", set()),
    "run_squad.py": ("squad", set()),
    "run_squad.sh": ("clue", set()),
    "create_finetuning_data.py": ("create-finetuning-data", set()),
    "run_pretraining_google.py": ("pretrain", set()),
    "run_classifier.py": ("finetune", set()),
    "run_classifier_sp_google.py": ("finetune", set()),
    "test_changes.py": ("changes", set()),
    "convert_albert_tf_checkpoint_to_pytorch.py": ("convert", set()),
    "tf2_albert_encoder_checkpoint_converter.py": ("convert", set()),
    "run_classifier_clue.sh": ("clue", set()),
    "run_glue.sh": ("clue", set()),
    "run_classifier_lcqmc.sh": ("finetune", {"sample", "sweep", "data_dir", "model_dir"}),
}
#: Words a script puts before those it is called with.
PRESET = {
    "convert_albert_tf_checkpoint_to_pytorch.py": ["--to=huggingface"],
    "tf2_albert_encoder_checkpoint_converter.py": ["--to=tf2"],
}
FOLDERS = ("albert_config", "albert_zh", "benchmarks", "data", "scripts", "tests")
#: Flags of the command line itself.
GLOBAL_FLAGS = {"help", "version"}
#: Flags of other programs that the READMEs call.
FOREIGN_FLAGS = {"logdir", "with"}  # tensorboard; run_tests.sh --with-torch


def blocks(text: str, language: str) -> list[str]:
    every = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [block for named, block in every if named == language]


def commands(text: str) -> list[str]:
    """The command lines of all bash blocks, then those in the cells of tables."""
    lines = [line for block in blocks(text, "bash") for line in block.replace("\\\n", " ").splitlines()]
    cells = re.findall(r"\| `((?:python|bash) [^`]+)` \|", text)
    return [line for line in [*lines, *cells] if line and not line.startswith("#")]


def called(line: str) -> tuple[str, list[str], set[str]] | None:
    """(command, its words, flags of the script alone) of a line that calls this project; None for another program."""
    words = shlex.split(line.removeprefix("nohup ").removesuffix(" &"))
    if words[:3] in (["python", "-m", "albert_zh"], ["python3", "-m", "albert_zh"]):
        words = words[2:]
    if words[0] in ("albert_zh", "albert-zh"):
        return (words[1], words[2:], set()) if words[1] in COMMANDS else None
    if words[0] in ("bash", "python", "python3") and words[1] in SCRIPTS:
        command, own = SCRIPTS[words[1]]
        return command, [*PRESET.get(words[1], []), *words[2:]], own
    return None


def options_of(command: str) -> type:
    module, name, _, _ = COMMANDS[command]
    return getattr(importlib.import_module(module), name)


def spellings(command: str) -> set[str]:
    return {spelling for flag in flags_of(options_of(command)) for spelling in flag.spellings}


def flags_in(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--([a-zA-Z]\w*)", text))


CALLS = [(name, line) for name, text in READMES.items() for line in commands(text) if called(line)]


@pytest.mark.parametrize(("readme", "line"), CALLS, ids=[f"{name}-{number}" for number, (name, _) in enumerate(CALLS)])
def test_every_command_shown_is_accepted(readme, line):
    command, words, own = called(line)
    assert flags_in(line) <= spellings(command) | own | GLOBAL_FLAGS
    if line.startswith("bash ") or "--help" in words:
        return  # a shell script gives the required flags itself
    options, notices = parse_options(options_of(command), words, command)
    assert options is not None
    assert not notices, "no README should show a flag without effect"


def test_every_command_and_every_script_has_an_example():
    shown = "\n".join(commands(READMES["README.md"]))
    commands_shown = {called(line)[0] for name, line in CALLS if name == "README.md"}
    assert commands_shown == set(COMMANDS)
    scripts = [*ROOT.glob("*.sh"), *ROOT.glob("*.py")]
    assert [path.name for path in scripts if path.name not in shown] == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_flag_mentioned_is_a_flag_of_some_command(name):
    known = set().union(*map(spellings, COMMANDS), *(own for _, own in SCRIPTS.values()))
    mentioned = set().union(*map(flags_in, [*re.findall(r"`([^`\n]+)`", DOCUMENTS[name]), *commands(DOCUMENTS[name])]))
    benchmarks = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "benchmarks").glob("*.py"))
    known |= set(re.findall(r'"--(\w+)"', benchmarks)) | GLOBAL_FLAGS | FOREIGN_FLAGS
    assert mentioned - known - {"name", "flag"} == set(), "--name and --flag stand for any"


def test_both_readmes_show_the_same_commands_and_code():
    english, chinese = READMES.values()
    assert commands(english) == commands(chinese)
    assert blocks(english, "python") == blocks(chinese, "python")


def test_both_readmes_have_the_same_parts():
    english, chinese = (re.findall(r"^(#+) ", text, re.MULTILINE) for text in READMES.values())
    assert english == chinese


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_file_mentioned_exists(name):
    text = DOCUMENTS[name]
    linked = [target for target in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in target]
    top = "|".join(FOLDERS)
    inside = re.findall(rf"(?<![\w./*-])(?:\./)?((?:{top})/[\w./-]*\w)(?![\w*/.-]*\*)", text)
    scripts = re.findall(r"(?<![\w./-])(\w+\.sh)\b", text)
    named = [path for path in [*linked, *inside, *scripts] if ".tfrecord" not in path]  # records are made by a command
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_module_of_the_reading_order_exists():
    for text in READMES.values():
        modules = re.findall(r"`((?:\w+/)?\w+\.py)`", text)
        modules = [module for module in modules if not (ROOT / module).exists()]
        assert modules
        assert [module for module in modules if not (ROOT / "albert_zh" / module).exists()] == []


def drawn(text: str) -> Iterator[str]:
    """Paths of the modules in the architecture picture, from the package's folder."""
    (picture,) = [block for block in blocks(text, "") if block.startswith("albert_zh/\n")]
    room = ""
    for line in picture.splitlines()[1:]:
        if line.startswith("   "):  # the modules of the room above
            yield from (f"{room}{module}.py" for module in line.strip().split(" · "))
            continue
        name = line.split()[0]
        room = name if name.endswith("/") else ""
        if not room:
            yield name


@pytest.mark.parametrize("name", READMES)
def test_the_picture_holds_just_the_modules_of_the_package(name):
    package = ROOT / "albert_zh"
    there = {path.relative_to(package).as_posix() for path in package.rglob("*.py")}
    there = {path for path in there if "/" not in path or not path.endswith("__init__.py")}
    pictured = list(drawn(READMES[name]))
    assert sorted(pictured) == sorted(there)


def allowed_imports() -> dict[str, set[str]]:
    """The table that tests/test_imports.py holds the code to."""
    tree = ast.parse((ROOT / "tests" / "test_imports.py").read_text(encoding="utf-8"))
    (value,) = [node.value for node in tree.body if isinstance(node, ast.Assign) and node.targets[0].id == "ALLOWED"]
    return ast.literal_eval(value)


@pytest.mark.parametrize("name", READMES)
def test_the_arrows_are_those_the_code_is_held_to(name):
    shown = {}
    for rooms, targets in re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| ?(.*?) ?\|$", READMES[name], re.MULTILINE):
        for room in re.findall(r"`(\w+)`", rooms):
            shown[room] = set(re.findall(r"`([\w.]+)`", targets))
    allowed = {room: targets for room, targets in allowed_imports().items() if not room.startswith("__")}
    assert allowed.pop("cli") == {"*"}
    shown.pop("cli")
    assert {room: shown.get(room) for room in allowed} == allowed
