import dataclasses
import subprocess
import sys

import pytest

from albert_zh.files import InputError
from albert_zh.flags import parse_options
from albert_zh.server.limits import Limits
from albert_zh.server.options import ServeOptions


def test_several_models_and_the_loopback_address_by_default():
    options, _ = parse_options(ServeOptions, ["one", "two", "--port=0"])
    assert options.models == ("one", "two")
    assert options.host == "127.0.0.1"
    assert options.limits == Limits()


def test_every_limit_has_its_flag():
    values = {"max_body_bytes": 11, "max_characters": 12, "max_texts": 13, "max_queue": 14, "max_requests": 15}
    values["max_request_characters"] = 19
    options = ServeOptions(("m",), timeout_s=16.0, max_batch_size=17, max_wait_ms=18.0, **values)
    assert dataclasses.astuple(options.limits) == (11, 12, 19, 13, 14, 15, 16.0, 17, 18.0)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("--port=65536", "from 0 to 65535"),
        ("--max_texts=0", "1 or more"),
        ("--timeout_s=0", "more than 0"),
        ("--max_wait_ms=-1", "0 or more"),
        ("--max_queue=10", "could ever be taken"),
    ],
)
def test_a_value_that_cannot_be_is_refused(word, said):
    with pytest.raises(InputError, match=said):
        parse_options(ServeOptions, ["model", word])


def test_the_options_load_neither_a_web_framework_nor_tensorflow():
    program = (
        "import sys, albert_zh.server.options, albert_zh.server.app, albert_zh.server.run\n"
        "sys.exit(str({'fastapi', 'uvicorn', 'pydantic', 'starlette', 'tensorflow', 'keras'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "set()"
