"""Flags mean what they say: each law of flags, on options made for the test."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from albert_zh.files import InputError
from albert_zh.flags import command_help, flags_of, parse_options


@dataclass(frozen=True)
class Sample:
    input_file: tuple[str, ...] = field(metadata={"help": "Records to read."})
    batch: int = field(
        default=64, metadata={"help": "Rows per step.", "aliases": ("train-batch",), "group": "training"}
    )
    rate: float = field(default=1e-4, metadata={"help": "Peak learning rate."})
    do_train: bool = field(default=False, metadata={"help": "Train."})
    checkpoint: str = field(default="", metadata={"help": "Where to start."})
    seed: int | None = field(default=None, metadata={"help": "Seed."})
    rates: tuple[float, ...] = field(default=(2e-5, 1e-4), metadata={"help": "Rates to try."})
    optimizer: Literal["lamb", "adamw"] = field(default="lamb", metadata={"help": "Update rule."})
    texts: tuple[str, ...] = field(default=(), metadata={"help": "Sentences.", "split": False})
    master: str = field(default="", metadata={"ignored": "there are no sessions any more"})
    use_nsp: bool = field(default=False, metadata={"refused": "next-sentence prediction is not part of ALBERT"})


@dataclass(frozen=True)
class Looked:
    file: tuple[str, ...] | str = field(metadata={"help": "Files.", "positional": True})
    html: str | None = field(default=None, metadata={"help": "Page to write."})
    count: int = field(default=3, metadata={"help": "How many."})


def parse(*words: str) -> Sample:
    return parse_options(Sample, ["--input_file=a", *words])[0]


def test_a_value_comes_with_equals_or_as_the_next_word_and_hyphens_are_underscores():
    assert parse("--batch=8", "--rate", "0.5", "--do-train", "--checkpoint=x=y") == Sample(
        ("a",), batch=8, rate=0.5, do_train=True, checkpoint="x=y"
    )
    assert parse("--train_batch=8") == parse("--train-batch", "8") == parse("--batch", "8")


@pytest.mark.parametrize("word", ["true", "True", "TRUE", "yes", "1"])
def test_true_is_true(word):
    assert parse(f"--do_train={word}").do_train is True
    assert parse("--do_train", word, "--batch=1").do_train is True


@pytest.mark.parametrize("word", ["false", "False", "no", "0"])
def test_false_is_false(word):
    assert parse("--do_train", f"--do_train={word}").do_train is False
    assert parse("--do_train", word).do_train is False


@pytest.mark.parametrize("word", ["maybe", "2", "", "tru"])
def test_a_boolean_is_nothing_else(word):
    with pytest.raises(InputError, match="do_train"):
        parse(f"--do_train={word}")


def test_a_shell_expanded_glob_belongs_to_its_flag():
    words = ["--input_file=./data/tf1.tfrecord", "./data/tf2.tfrecord", "./data/tf3.tfrecord", "--batch=8"]
    options, _ = parse_options(Sample, words)
    assert options.input_file == ("./data/tf1.tfrecord", "./data/tf2.tfrecord", "./data/tf3.tfrecord")
    assert options.batch == 8


def test_commas_part_several_values_unless_they_belong_to_the_value():
    assert parse("--rates=2e-5,6e-5, 1e-4".replace(" ", "")).rates == (2e-5, 6e-5, 1e-4)
    assert parse("--texts", "你好,世界", "再见").texts == ("你好,世界", "再见")


def test_the_last_occurrence_wins():
    assert parse("--batch=1", "--train_batch=2").batch == 2
    assert parse("--input_file=b", "c").input_file == ("b", "c")


def test_no_abbreviation_is_accepted_and_the_nearest_flag_is_named():
    for word, near in (("--batc=3", "--batch"), ("--do_trian", "--do_train"), ("--opt=lamb", "")):
        with pytest.raises(InputError, match="unknown flag") as caught:
            parse(word)
        assert near in str(caught.value)
    with pytest.raises(InputError, match="unknown flag -b"):
        parse("-b", "3")


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("--batch=many", "--batch: 'many' is not a whole number"),
        ("--train_batch=1.5", "--train_batch: '1.5' is not a whole number"),
        ("--rate=fast", "--rate: 'fast' is not a number"),
        ("--rate=nan", "--rate: 'nan' is not a finite number"),
        ("--rates=1e-4,x", "--rates: 'x' is not a number"),
        ("--optimizer=adamv", "not one of lamb, adamw. Did you mean adamw"),
        ("--batch", "--batch has no value"),
        ("--batch=", "--batch is empty"),
        ("--input_file=", "--input_file is empty"),
    ],
)
def test_a_bad_value_names_flag_and_value(word, said):
    with pytest.raises(InputError) as caught:
        parse(word)
    assert said in str(caught.value)


def test_negative_numbers_are_values():
    assert parse("--batch", "-1", "--rate", "-.5") == Sample(("a",), batch=-1, rate=-0.5)


def test_none_is_a_value_where_it_may_be():
    assert parse("--seed=3", "--seed=none").seed is None
    with pytest.raises(InputError, match="batch"):
        parse("--batch=none")


def test_an_empty_value_of_a_flag_that_may_be_missing_is_noticed():
    options, notices = parse_options(Sample, ["--input_file=a", "--checkpoint="])
    assert options == Sample(("a",))
    assert notices == ["--checkpoint is empty: taken as not given"]


def test_a_stray_word_is_an_error_that_explains():
    with pytest.raises(InputError, match="after --batch, which takes one value"):
        parse("--batch=3", "4")
    with pytest.raises(InputError, match="'maybe' is not true or false"):
        parse("--do_train", "maybe")
    with pytest.raises(InputError, match="Did you mean --batch=3"):
        parse_options(Sample, ["batch=3"])


def test_a_missing_flag_is_named():
    with pytest.raises(InputError, match="missing --input_file"):
        parse_options(Sample, [])
    with pytest.raises(InputError, match="missing FILE"):
        parse_options(Looked, [])


def test_old_flags_are_ignored_with_a_notice_or_refused_with_a_reason():
    options, notices = parse_options(Sample, ["--input_file=a", "--master=grpc://x"])
    assert options == Sample(("a",))
    assert notices == ["--master is accepted and has no effect: there are no sessions any more"]
    assert parse("--use_nsp=False") == Sample(("a",))
    with pytest.raises(InputError, match="--use_nsp: next-sentence prediction"):
        parse("--use_nsp=True")


def test_a_positional_value_may_stand_anywhere_or_under_its_flag():
    assert parse_options(Looked, ["a", "b", "--count=1"])[0] == Looked(("a", "b"), count=1)
    assert parse_options(Looked, ["--count=1", "a"])[0] == Looked(("a",), count=1)
    assert parse_options(Looked, ["--file=a,b"])[0] == Looked(("a", "b"))
    assert parse_options(Looked, ["--", "--a"])[0] == Looked(("--a",))


@settings(max_examples=50)
@given(
    st.builds(
        Sample,
        input_file=st.lists(st.from_regex(r"[\w./*]+", fullmatch=True), min_size=1).map(tuple),
        batch=st.integers(),
        rate=st.floats(allow_nan=False, allow_infinity=False),
        do_train=st.booleans(),
        checkpoint=st.text(min_size=1),
        seed=st.none() | st.integers(),
        rates=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1).map(tuple),
        optimizer=st.sampled_from(["lamb", "adamw"]),
        texts=st.lists(st.text(min_size=1), min_size=1, max_size=1).map(tuple),
        master=st.just(""),
        use_nsp=st.just(False),
    )
)
def test_options_written_as_flags_read_back_the_same(options):
    words = []
    for flag in flags_of(Sample):
        value = getattr(options, flag.name)
        if flag.ignored is None:
            words.append(f"--{flag.name}={','.join(map(str, value)) if flag.many else value}")
    assert parse_options(Sample, words)[0] == options


def test_help_shows_every_flag_with_its_default_and_reason():
    text = command_help(Sample, "albert-zh sample", "summary of it")
    assert "usage: albert-zh sample [--flag=value ...]" in text
    for part in (
        "summary of it",
        "required:\n  --input_file TEXT ...",
        "training:\n  --batch, --train_batch INTEGER\n      Rows per step. (default: 64)",
        "--do_train true|false\n      Train. (default: false)",
        "--optimizer lamb|adamw",
        "(default: 2e-05,0.0001)",
        "No effect: there are no sessions",
        "Refused: next-sentence",
    ):
        assert part in text
    assert "FILE ... [--flag=value ...]" in command_help(Looked, "x", "")


def test_a_field_that_cannot_be_a_flag_is_a_bug():
    @dataclass(frozen=True)
    class Wrong:
        table: dict = field(default_factory=dict)

    with pytest.raises(TypeError, match=r"Wrong\.table"):
        flags_of(Wrong)
