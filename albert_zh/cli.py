"""Flags only: one command a row of COMMANDS, its flags made from the fields of its options dataclass.

Nothing heavy is imported until a command is chosen, so ``--help`` answers at once. The code before
``_use_environment`` also runs under Pythons the project does not support, in order to say so.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import importlib
import importlib.util
import math
import os
import re
import select
import shutil
import sys
import tempfile
import textwrap
import types
import typing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from albert_zh.files import InputError

#: Command -> (module, options class, function of that module or "module:function", one line of help).
COMMANDS = {
    "create-data": (
        "albert_zh.pretrain.create",
        "CreateDataOptions",
        "run",
        "text files -> pretraining records (TFRecord) and their manifest",
    ),
    "pretrain": (
        "albert_zh.training.options",
        "PretrainOptions",
        "albert_zh.training.pretraining:run",
        "records -> pretrained checkpoint, exact resume",
    ),
    "finetune": (
        "albert_zh.training.options",
        "FinetuneOptions",
        "albert_zh.training.sweep:run",
        "checkpoint and labelled rows -> best model, metrics, predictions",
    ),
    "predict": (
        "albert_zh.serve.options",
        "PredictOptions",
        "albert_zh.serve.predictor:run",
        "fine-tuned folder and rows -> answers",
    ),
    "report": ("albert_zh.report.collect", "ReportOptions", "run", "finished folders -> one page, report.html"),
    "inspect": ("albert_zh.pretrain.inspect", "InspectOptions", "run", "show the instances of a record file"),
    "build-vocab": (
        "albert_zh.text.vocabulary",
        "BuildVocabOptions",
        "run",
        "Unicode tables and text -> vocab.txt and its coverage",
    ),
    "download": ("albert_zh.hub.download", "DownloadOptions", "run", "fetch published models and data sets by name"),
    "models": ("albert_zh.hub.catalog", "ListOptions", "run", "list the published models and data sets"),
}

#: Modules every command needs; a Python without them is not the project's.
NEEDED_MODULES = ("keras", "numpy", "jieba", "sentencepiece", "google_crc32c", "requests", "tqdm")
#: Rooms whose commands run TensorFlow.
TENSORFLOW_ROOMS = ("albert_zh.training.", "albert_zh.serve.")

CHECKOUT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TRUE_WORDS = ("true", "yes", "1")
FALSE_WORDS = ("false", "no", "0")


def main(argv: Sequence[str] | None = None, program: str | None = None) -> int:
    """Runs one command and returns the exit status: 0 done, 2 input that cannot be used, 130 stopped by Ctrl-C.

    Args:
        argv: the words after the program's name; ``sys.argv[1:]`` when None.
        program: how the user started a script that stands for one command, such as ``run_pretraining.py``; None for
            ``albert-zh COMMAND``.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        status = _dispatch(words, program)
        sys.stdout.flush()
        return status
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped; nothing half-written was left; run the same command again to go on", file=sys.stderr)
        return 130
    except BrokenPipeError:
        if not _reader_gone():
            raise  # another pipe, such as a worker's
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _reader_gone() -> bool:
    """Whether whoever read our output has left, as ``head`` does: no fault of ours."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def _dispatch(words: list[str], program: str | None) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        if len(words) < 2 or words[0] != "help":
            print(_overview())
            return 0 if words else 2
        words = [words[1], "--help"]
    if words[0] == "--version":
        print(_version())
        return 0
    command = words[0].replace("_", "-")
    if command not in COMMANDS:
        raise InputError(f"unknown command {words[0]!r}.{_nearest(command, COMMANDS)} albert-zh --help lists all.")
    module_name, class_name, function_name, summary = COMMANDS[command]
    _use_environment(module_name, command, words[1:], program)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow's notes about instruction sets help no user
    module = importlib.import_module(module_name)
    options_class = getattr(module, class_name)
    shown = os.path.basename(program) if program else f"albert-zh {command}"
    if any(word in ("-h", "--help") for word in words[1:]):
        print(command_help(options_class, shown, summary))
        return 0
    options, notices = parse_options(options_class, words[1:], shown)
    for notice in notices:
        print(f"note: {notice}", file=sys.stderr)
    home, _, function_name = function_name.rpartition(":")
    with _standard_error_held():
        function = getattr(importlib.import_module(home) if home else module, function_name)
    function(options)
    return 0


@contextlib.contextmanager
def _standard_error_held() -> Iterator[None]:
    """Holds back what is written to standard error, to be shown only if the block raises.

    TensorFlow writes notes about oneDNN and absl while it is imported, before any log level holds.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        shown = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(shown, held.read())
            raise
        finally:
            os.dup2(shown, 2)
            os.close(shown)


def _use_environment(module_name: str, command: str, words: list[str], program: str | None) -> None:
    """Starts again with the checkout's own ``.venv`` when this Python lacks the packages, or says how to get them."""
    needed = (*NEEDED_MODULES, *(["tensorflow"] if module_name.startswith(TENSORFLOW_ROOMS) else []))
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    too_old = sys.version_info < (3, 11)
    if not missing and not too_old:
        return
    environment = os.path.join(CHECKOUT, ".venv")
    python = os.path.join(environment, "bin", "python")
    inside = os.path.realpath(sys.prefix) == os.path.realpath(environment)
    if os.access(python, os.X_OK) and not inside:
        sys.stdout.flush()
        os.execv(python, [python, *([program] if program else ["-m", "albert_zh", command]), *words])
    version = ".".join(map(str, sys.version_info[:2]))
    lack = f"is version {version}; 3.11 to 3.13 is needed" if too_old else f"has no {', '.join(missing)}"
    raise InputError(
        f"this Python ({sys.executable}) {lack}. In {CHECKOUT} run:\n"
        "  bash quickstart.sh            makes .venv with all packages, which every script then uses\n"
        "or, in an environment of your own:\n"
        "  pip install -e '.[cpu]'       with an NVIDIA GPU: '.[cuda]'"
    )


# ---------------------------------------------------------------------------------------------------------------------
# From fields to flags


@dataclass(frozen=True)
class Flag:
    """One field of an options dataclass as the command line sees it.

    Attributes:
        name: the field's name; ``--name`` with underscores or hyphens.
        spellings: all names it answers to, underscored; the first is ``name``.
        kind: str, int, float or bool: the type of the value, or of one value when ``many``.
        many: a tuple of values: words after the flag and commas part them.
        optional: None is a value.
        default: what holds when the flag is not given, ``dataclasses.MISSING`` when it must be.
        positional: the value may stand without the flag.
        choices: the only values allowed; empty for any.
        split: whether commas part the values of a ``many`` flag.
        ignored: why an old flag is accepted without effect; None for a living one.
        refused: why a value other than the default is refused; None when it is not.
        help: unit, reason, effect.
        group: the heading it stands under in ``--help``.
    """

    name: str
    spellings: tuple[str, ...]
    kind: type
    many: bool
    optional: bool
    default: Any
    positional: bool
    choices: tuple[Any, ...]
    split: bool
    ignored: str | None
    refused: str | None
    help: str
    group: str


def flags_of(options_class: type) -> list[Flag]:
    """The flags of an options dataclass, in the order of its fields.

    A field's ``metadata`` may hold ``help``, ``aliases``, ``positional``, ``choices``, ``group``, ``split`` (False:
    commas belong to the value), ``ignored`` and ``refused`` (each a reason).
    """
    hints = typing.get_type_hints(options_class)
    flags = []
    for field in dataclasses.fields(options_class):
        if not field.init:
            continue
        kind, many, optional, literals = _read_type(hints[field.name], f"{options_class.__name__}.{field.name}")
        default = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        about = field.metadata
        flags.append(
            Flag(
                name=field.name,
                spellings=(field.name, *(alias.replace("-", "_") for alias in about.get("aliases", ()))),
                kind=kind,
                many=many,
                optional=optional,
                default=default,
                positional=about.get("positional", False),
                choices=tuple(about.get("choices", literals)),
                split=about.get("split", True),
                ignored=about.get("ignored"),
                refused=about.get("refused"),
                help=about.get("help", ""),
                group=about.get("group", "options"),
            )
        )
    spellings = [spelling for flag in flags for spelling in flag.spellings]
    twice = sorted({spelling for spelling in spellings if spellings.count(spelling) > 1})
    if twice:
        raise TypeError(f"{options_class.__name__}: two fields answer to --{twice[0]}")
    return flags


def _read_type(hint: Any, where: str) -> tuple[type, bool, bool, tuple[Any, ...]]:
    """(kind, many, optional, literal values) of a type hint."""
    optional = False
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        members = [member for member in typing.get_args(hint) if member is not type(None)]
        optional = len(members) < len(typing.get_args(hint))
        members.sort(key=lambda member: typing.get_origin(member) is not tuple)
        if len(members) > 1 and members[1:] != [*typing.get_args(members[0])[:1]]:  # tuple[str, ...] | str is a tuple
            raise TypeError(f"{where}: a flag cannot be {hint}")
        hint = members[0]
    many = typing.get_origin(hint) is tuple
    if many:
        members = typing.get_args(hint)
        if len(members) != 2 or members[1] is not Ellipsis:
            raise TypeError(f"{where}: a flag of several values is tuple[type, ...], not {hint}")
        hint = members[0]
    literals: tuple[Any, ...] = ()
    if typing.get_origin(hint) is typing.Literal:
        literals = typing.get_args(hint)
        hint = type(literals[0])
    if hint not in (str, int, float, bool):
        raise TypeError(f"{where}: a flag cannot be {hint}")
    return hint, many, optional, literals


# ---------------------------------------------------------------------------------------------------------------------
# From words to options


def parse_options(options_class: type, words: Sequence[str], program: str = "albert-zh") -> tuple[Any, list[str]]:
    """An instance of ``options_class`` from the words of a command line, and notices to print.

    ``--name=value`` and ``--name value``; underscores or hyphens; no abbreviations; the last occurrence wins; ``--``
    ends the flags. A word that follows a flag of several values belongs to it, so that an unquoted glob works::

        --input_file=./data/tf1.tfrecord ./data/tf2.tfrecord   ->   ("./data/tf1.tfrecord", "./data/tf2.tfrecord")

    Raises:
        InputError: an unknown flag (the nearest is named), a missing one, a value that is not of the flag's type.
    """
    flags = flags_of(options_class)
    given, positionals = _collect(words, flags, program)
    values: dict[str, Any] = {}
    notices = []
    for flag in flags:
        if flag.name not in given:
            continue
        spelling, texts = given[flag.name]
        if flag.ignored:
            notices.append(f"--{spelling} is accepted and has no effect: {flag.ignored}")
            continue
        if not any(texts) and flag.default in (None, "", ()):
            notices.append(f"--{spelling} is empty: taken as not given")
            continue
        value = _value(flag, spelling, texts)
        if flag.refused and value != flag.default:
            raise InputError(f"--{spelling}: {flag.refused}")
        values[flag.name] = value
    for flag in (flag for flag in flags if flag.positional and flag.name not in given):
        taken = positionals[:] if flag.many else positionals[:1]
        del positionals[: len(taken)]
        if taken:
            values[flag.name] = _value(flag, flag.name, taken)
    if positionals:
        raise InputError(f"unexpected word {positionals[0]!r}. {program} --help lists the flags.")
    missing = [flag for flag in flags if flag.default is dataclasses.MISSING and flag.name not in values]
    if missing:
        names = ", ".join(flag.name.upper() if flag.positional else f"--{flag.name}" for flag in missing)
        raise InputError(f"missing {names}. {program} --help says what it is.")
    return options_class(**values), notices


def _collect(
    words: Sequence[str], flags: list[Flag], program: str
) -> tuple[dict[str, tuple[str, list[str]]], list[str]]:
    """Sorts words into flag -> (spelling, texts) and what stands alone."""
    by_spelling = {spelling: flag for flag in flags for spelling in flag.spellings}
    has_positional = any(flag.positional for flag in flags)
    given: dict[str, tuple[str, list[str]]] = {}
    positionals: list[str] = []
    last: Flag | None = None  # the flag a stray word would follow
    queue = list(words)
    while queue:
        word = queue.pop(0)
        if word == "--":
            positionals.extend(queue)
            break
        if not _is_flag(word):
            if last is not None and last.many:
                given[last.name][1].append(word)
            elif has_positional:
                positionals.append(word)
            else:
                raise InputError(_stray(word, last, by_spelling, program))
            continue
        name, equals, text = word.lstrip("-").partition("=")
        spelling = name.replace("-", "_")
        if not word.startswith("--") or spelling not in by_spelling:
            shown = word.partition("=")[0]
            near = _nearest(spelling, by_spelling, "--")
            raise InputError(f"unknown flag {shown}.{near} {program} --help lists all.")
        last = by_spelling[spelling]
        if equals:
            texts = [text]
        elif last.kind is bool and not last.many:
            texts = [queue.pop(0)] if queue and queue[0].lower() in TRUE_WORDS + FALSE_WORDS else ["true"]
        elif queue and not _is_flag(queue[0]):
            texts = [queue.pop(0)]
        else:
            raise InputError(f"--{spelling} has no value. Write --{spelling}={_metavar(last)}.")
        given[last.name] = (spelling, texts)
    return given, positionals


def _is_flag(word: str) -> bool:
    """``-1``, ``-0.5e3`` and a lone ``-`` are values; any other word that begins with a hyphen is meant as a flag."""
    return word.startswith("-") and word != "-" and not re.match(r"-\.?\d", word)


def _stray(word: str, last: Flag | None, by_spelling: dict[str, Flag], program: str) -> str:
    if word.replace("-", "_").partition("=")[0] in by_spelling:
        return f"unexpected word {word!r}. Did you mean --{word}?"
    if last is not None and last.kind is bool:
        return f"--{last.name}: {word!r} is not true or false."
    where = f" after --{last.name}, which takes one value" if last is not None else ""
    return f"unexpected word {word!r}{where}. Flags begin with --; {program} --help lists them."


def _value(flag: Flag, spelling: str, texts: list[str]) -> Any:
    if not flag.many:
        return _one(flag, spelling, texts[-1])
    parts = [part.strip() for text in texts for part in text.split(",")] if flag.split else texts
    parts = [part for part in parts if part]
    if not parts:
        raise InputError(f"--{spelling} is empty. Was a shell variable not set?")
    return tuple(_one(dataclasses.replace(flag, optional=False), spelling, part) for part in parts)


def _one(flag: Flag, spelling: str, text: str) -> Any:
    if flag.optional and text.lower() == "none" and flag.kind is not str:
        return None
    if not text:
        raise InputError(f"--{spelling} is empty. Was a shell variable not set?")
    value = _READERS[flag.kind](spelling, text)
    if flag.choices and value not in flag.choices:
        allowed = ", ".join(map(str, flag.choices))
        near = _nearest(str(value), [str(choice) for choice in flag.choices])
        raise InputError(f"--{spelling}: {text!r} is not one of {allowed}.{near}")
    return value


def _read_bool(spelling: str, text: str) -> bool:
    if text.lower() in TRUE_WORDS:
        return True
    if text.lower() in FALSE_WORDS:
        return False
    raise InputError(f"--{spelling}: {text!r} is not true or false (also yes, no, 1, 0).")


def _read_int(spelling: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InputError(f"--{spelling}: {text!r} is not a whole number.") from None


def _read_float(spelling: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise InputError(f"--{spelling}: {text!r} is not a number.") from None
    if not math.isfinite(value):
        raise InputError(f"--{spelling}: {text!r} is not a finite number.")
    return value


def _read_text(spelling: str, text: str) -> str:
    return text


_READERS: dict[type, Callable[[str, str], Any]] = {
    bool: _read_bool,
    int: _read_int,
    float: _read_float,
    str: _read_text,
}


def _nearest(name: str, names: Any, prefix: str = "") -> str:
    near = difflib.get_close_matches(name, list(names), n=1)
    return f" Did you mean {prefix}{near[0]}?" if near else ""


# ---------------------------------------------------------------------------------------------------------------------
# Help


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = ["usage: albert-zh COMMAND [--flag=value ...]      (also: python -m albert_zh COMMAND ...)", ""]
    lines += [f"  {name:<{width}}  {summary}" for name, (_, _, _, summary) in COMMANDS.items()]
    return "\n".join([*lines, "", "albert-zh COMMAND --help lists the flags of a command."])


def command_help(options_class: type, program: str, summary: str) -> str:
    """The text of ``--help``: each flag with its default, unit and reason, under the heading of its group."""
    flags = flags_of(options_class)
    positionals = [flag for flag in flags if flag.positional]
    usage = " ".join(
        [program, *(f"{flag.name.upper()}{' ...' if flag.many else ''}" for flag in positionals), "[--flag=value ...]"]
    )
    living = [flag for flag in flags if flag.ignored is None and flag.refused is None]
    groups: dict[str, list[Flag]] = {}
    for flag in living:
        groups.setdefault(_heading(flag), []).append(flag)
    order = sorted(groups, key=lambda heading: heading != "required")  # stable: the rest in the order of the fields
    lines = [f"usage: {usage}", "", summary]
    for heading in order:
        lines += ["", f"{heading}:"]
        for flag in groups[heading]:
            lines += _flag_help(flag)
    old = [flag for flag in flags if flag not in living]
    if old:
        lines += ["", "accepted for old command lines:"]
        for flag in old:
            lines += _flag_help(flag)
    return "\n".join(lines)


def _heading(flag: Flag) -> str:
    return "required" if flag.default is dataclasses.MISSING else flag.group


def _flag_help(flag: Flag) -> list[str]:
    width = max(40, min(shutil.get_terminal_size((100, 24)).columns, 120))
    names = ", ".join(f"--{spelling}" for spelling in flag.spellings)
    alone = f"{flag.name.upper()} or " if flag.positional else ""
    head = f"  {alone}{names} {_metavar(flag)}"
    if flag.ignored:
        text = f"No effect: {flag.ignored}"
    elif flag.refused:
        text = f"Refused: {flag.refused}"
    else:
        text = f"{flag.help} {_default(flag)}".strip()
    return [head, *textwrap.wrap(text, width, initial_indent=" " * 6, subsequent_indent=" " * 6)]


def _metavar(flag: Flag) -> str:
    if flag.choices:
        name = "|".join(map(str, flag.choices))
    else:
        name = {bool: "true|false", int: "INTEGER", float: "NUMBER", str: "TEXT"}[flag.kind]
    return f"{name} ..." if flag.many else name


def _default(flag: Flag) -> str:
    value = flag.default
    if value is dataclasses.MISSING:
        return ""
    if value is None or value == () or value == "":
        return "(default: none)"
    if isinstance(value, bool):
        value = str(value).lower()
    elif isinstance(value, tuple):
        value = ",".join(map(str, value))
    return f"(default: {value})"


def _version() -> str:
    from albert_zh import __version__

    return f"albert-zh {__version__}"
