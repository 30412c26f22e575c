"""The table of targets is whole: what can be asked for can be written, loaded and held against a limit."""

import importlib
import itertools
from typing import get_args, get_type_hints

import pytest

from albert_zh.export.options import ExportOptions
from albert_zh.export.targets import TARGETS, Target

HINTS = get_type_hints(ExportOptions)


def test_what_can_be_asked_for_is_in_the_table():
    assert sorted(TARGETS) == sorted(get_args(HINTS["to"]))


def test_each_way_to_quantize_has_a_limit_and_the_more_it_takes_away_the_wider():
    limits = [TARGETS["litert"].limits[way] for way in get_args(HINTS["quantize"])]
    assert len(limits) == len(TARGETS["litert"].limits)
    assert all(a.difference < b.difference and a.same >= b.same for a, b in itertools.pairwise(limits))
    for name in TARGETS.keys() - {"litert"}:
        assert list(TARGETS[name].limits) == ["none"]


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_writes_and_loads(name):
    module = importlib.import_module(TARGETS[name].module)
    assert callable(module.write)
    assert callable(module.load)


def test_a_target_whose_module_is_broken_hurts_no_other(tmp_path):
    broken = Target("albert_zh.export.not_there")  # no error yet
    with pytest.raises(ModuleNotFoundError):
        broken.load(tmp_path)
