import os

import pytest

from albert_zh.files import InputError
from albert_zh.pretrain.documents import whole_file
from albert_zh.workers import available_cores, call_in_process, run_all


def test_every_spec_is_answered_whatever_the_number_of_workers():
    for workers in (1, 2):
        assert sorted(run_all(abs, [-3, -1, 2, -2], workers)) == [1, 2, 2, 3]
    assert list(run_all(abs, [], 2)) == []
    assert available_cores() >= 1


def test_a_workers_input_error_reaches_the_user_as_it_is(tmp_path):
    with pytest.raises(InputError, match=r"nothing\.txt: cannot be read") as caught:
        list(run_all(whole_file, [tmp_path / "nothing.txt"] * 3, 2))
    assert caught.value.__cause__ is None  # no traceback of the pool


def test_a_killed_worker_is_said_with_what_to_do():
    with pytest.raises(InputError, match=r"worker process was killed.*same command again"):
        list(run_all(os._exit, [9, 9], 2))


def test_a_process_of_its_own_gives_the_value_the_error_and_what_to_do_when_killed(tmp_path):
    assert call_in_process("builtins:abs", -3, advice="") == 3
    assert call_in_process("os:getpid", advice="") != os.getpid()
    with pytest.raises(InputError, match=r"nothing\.txt: cannot be read") as caught:
        call_in_process("albert_zh.pretrain.documents:whole_file", tmp_path / "nothing.txt", advice="")
    assert caught.value.__cause__ is None
    with pytest.raises(InputError, match="rest a while"):
        call_in_process("os:_exit", 9, advice="rest a while.")
