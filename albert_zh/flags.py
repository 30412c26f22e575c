"""Flags from the fields of an options dataclass: read from the words of a command line, explained for --help."""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
import shutil
import textwrap
import types
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from albert_zh.files import InputError

TRUE_WORDS = ("true", "yes", "1")
FALSE_WORDS = ("false", "no", "0")


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
            near = nearest(spelling, by_spelling, "--")
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
        near = nearest(str(value), [str(choice) for choice in flag.choices])
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


def nearest(name: str, names: Any, prefix: str = "") -> str:
    """A sentence that names the closest of ``names``, after a space; empty when none is close."""
    near = difflib.get_close_matches(name, list(names), n=1)
    return f" Did you mean {prefix}{near[0]}?" if near else ""


# ---------------------------------------------------------------------------------------------------------------------
# Help


def command_help(options_class: type, program: str, summary: str) -> str:
    """The text of ``--help``: each flag with its default, unit and reason, under the heading of its group."""
    flags = flags_of(options_class)
    positionals = [flag for flag in flags if flag.positional]
    usage = " ".join([program, *map(_shown_positional, positionals), "[--flag=value ...]"])
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


def _shown_positional(flag: Flag) -> str:
    shown = f"{flag.name.upper()}{' ...' if flag.many else ''}"
    return shown if flag.default is dataclasses.MISSING else f"[{shown}]"


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
