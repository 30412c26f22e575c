"""The catalogue's rows are complete and well formed."""

from __future__ import annotations

import re

import pytest

from albert_zh.files import InputError
from albert_zh.hub import catalog
from albert_zh.hub.catalog import DATASETS, MODELS, find

ROWS = [*MODELS.values(), *DATASETS.values()]


def test_no_name_occurs_twice():
    assert len(MODELS) == len(catalog._MODELS)
    assert len(DATASETS) == len(catalog._DATASETS)
    assert not set(MODELS) & set(DATASETS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_address_and_checksum_is_well_formed(row):
    for download in row.downloads:
        assert download.urls
        for url in download.urls:
            assert re.fullmatch(r"https?://[^\s#]+/[^\s#/]+(#(md5=[0-9a-f]{32}|sha256=[0-9a-f]{64}))?", url), url
    assert row.licence
    assert row.files
    assert all(row.files)


def test_models_of_both_families_and_all_layouts_are_there():
    assert {(model.family, model.layout) for model in MODELS.values()} == {
        ("brightmart", "tf1"),
        ("google", "tf1"),
        ("google", "tf2"),
        ("google", "huggingface"),
    }
    assert {model.size for model in MODELS.values()} == {"tiny", "small", "base", "large", "xlarge", "xxlarge"}


def test_lcqmc_is_checked_by_its_md5():
    assert DATASETS["lcqmc"].downloads[0].urls[0].endswith("#md5=7069fa0cffbd2110845869c61f83814a")


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(InputError, match="albert_tiny_zh"):
        find("albert_tiny_zhh")
