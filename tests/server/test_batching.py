import threading

import pytest

from albert_zh.files import InputError
from albert_zh.server.batching import Batcher
from albert_zh.server.limits import Limits, Refused


class Held:
    """Computes by doubling, the first batch only after ``release``; keeps the batches it was given."""

    def __init__(self):
        self.batches, self._begun, self._released = [], threading.Event(), threading.Event()

    def __call__(self, rows):
        self.batches.append(rows)
        self._begun.set()
        assert self._released.wait(20)
        if "bad" in rows:
            raise InputError("bad row")
        return [row * 2 for row in rows]

    def begun(self):
        assert self._begun.wait(20)

    def release(self):
        self._released.set()


@pytest.fixture
def make():
    made = []

    def make(**limits):
        sizes = []
        made.append(Batcher("test", Limits(**limits), sizes.append))
        return made[-1], sizes

    yield make
    for batcher in made:
        assert batcher.close(20)


def test_jobs_that_wait_together_are_computed_together_and_each_gets_its_own_answers_in_order(make):
    batcher, sizes = make(batch_size=8)
    compute = Held()
    first = batcher.submit("a", compute, [1])
    compute.begun()
    others = [batcher.submit("a", compute, rows) for rows in ([2, 3], [4], [5, 6, 7])]
    compute.release()
    assert first.result(20) == [2]
    assert [future.result(20) for future in others] == [[4, 6], [8], [10, 12, 14]]
    assert compute.batches == [[1], [2, 3, 4, 5, 6, 7]]
    assert sizes == [1, 6]


def test_a_batch_holds_no_more_rows_than_its_size_but_for_one_larger_job(make):
    batcher, sizes = make(batch_size=4)
    compute = Held()
    batcher.submit("a", compute, [1])
    compute.begun()
    futures = [batcher.submit("a", compute, [number] * count) for number, count in enumerate((3, 2, 1, 9), 1)]
    compute.release()
    assert [future.result(20) for future in futures] == [[2] * 3, [4] * 2, [6], [8] * 9]
    assert sizes == [1, 4, 2, 9]  # 3 + 1 fit; 2 alone, as 9 does not fit beside it


def test_jobs_of_another_kind_are_computed_apart(make):
    batcher, _ = make()
    one, other = Held(), Held()
    batcher.submit("one", one, [1])
    one.begun()
    futures = [batcher.submit(kind, compute, [2]) for kind, compute in (("one", one), ("other", other), ("one", one))]
    one.release()
    other.release()
    assert [future.result(20) for future in futures] == [[4]] * 3
    assert one.batches == [[1], [2, 2]]
    assert other.batches == [[2]]


def test_a_bad_row_fails_its_own_job_alone(make):
    batcher, _ = make()
    compute = Held()
    batcher.submit("a", compute, [1])
    compute.begun()
    good, bad, later = (batcher.submit("a", compute, rows) for rows in ([2], ["bad", 3], [4]))
    compute.release()
    assert good.result(20) == [4]
    assert later.result(20) == [8]
    with pytest.raises(InputError, match="bad row"):
        bad.result(20)


def test_a_function_that_loses_a_row_is_an_error_and_no_answer_is_shifted(make):
    batcher, _ = make()
    with pytest.raises(RuntimeError, match="2 rows got 1 answers"):
        batcher.submit("a", lambda rows: rows[:1], [1, 2]).result(20)


def test_a_full_queue_refuses_and_a_cancelled_job_makes_room_and_is_never_computed(make):
    batcher, _ = make(queue=3)
    compute = Held()
    batcher.submit("a", compute, [1])
    compute.begun()
    waiting = batcher.submit("a", compute, [2, 3])
    with pytest.raises(Refused) as refused:
        batcher.submit("a", compute, [4, 5])
    assert refused.value.status == 503
    assert refused.value.headers == {"Retry-After": "1"}
    assert batcher.waiting == 2
    assert waiting.cancel()
    last = batcher.submit("a", compute, [6, 7, 8])
    compute.release()
    assert last.result(20) == [12, 14, 16]
    assert compute.batches == [[1], [6, 7, 8]]


def test_closing_answers_what_is_in_hand_and_refuses_what_is_new(make):
    batcher, _ = make()
    compute = Held()
    futures = [batcher.submit("a", compute, [1])]
    compute.begun()
    futures += [batcher.submit("a", compute, [2])]
    assert not batcher.close(0.01)
    with pytest.raises(Refused, match="stopping"):
        batcher.submit("a", compute, [3])
    compute.release()
    assert batcher.close(20)
    assert [future.result(0) for future in futures] == [[2], [4]]
