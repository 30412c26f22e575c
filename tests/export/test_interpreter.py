"""A file that is missing, damaged or none of this project's is an error that says what to do."""

import subprocess
import sys

import pytest

from albert_zh.export.interpreter import FILE, open_file
from albert_zh.files import InputError


@pytest.fixture(scope="module")
def content(finished, lite):
    return (lite(finished("lcqmc").source.folder) / FILE).read_bytes()


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(
        InputError, match=r"model\.tflite: no such file\. Give model\.tflite, or the folder that export"
    ):
        open_file(tmp_path / FILE)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: b"no model at all " * 99,
        lambda content: content[: len(content) // 2],
        lambda content: bytes(64) + content[64:],
        lambda content: content[:-3000] + bytes(3000),
    ],
    ids=["empty", "text", "half", "head", "tail"],
)
def test_a_damaged_file_is_refused(damage, content, tmp_path):
    (tmp_path / FILE).write_bytes(damage(content))
    with pytest.raises(InputError, match=r"model\.tflite: LiteRT cannot read it \(.+\)\. Export the model again"):
        open_file(tmp_path / FILE)


def test_a_file_without_the_signature_is_none_of_this_project_s(content, tmp_path):
    (tmp_path / FILE).write_bytes(content.replace(b"serving_default", b"serving_another"))
    with pytest.raises(InputError, match="has no signature serving_default"):
        open_file(tmp_path / FILE)


def test_what_is_measured_is_litert_without_tensorflow():
    code = "import sys, albert_zh.export.benchmark; sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
