"""Few-shot rows: so many of each label, the same for the same seed, whatever else the file holds."""

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from albert_zh.tasks import TASKS, Row
from albert_zh.tasks.sampling import sampled, sampled_per_label


def rows(labels):
    count = Counter()
    made = []
    for label in labels:
        count[label] += 1
        made.append(Row(f"train:{len(made) + 1}", f"{label}{count[label]}", label=label))
    return made


def texts(few):
    return {row.text_a for row in few}


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=40), st.integers(1, 6), st.integers(0, 99))
def test_every_label_has_so_many_rows_or_all_of_them_in_the_order_of_the_file(labels, count, seed):
    given_rows = rows(labels)
    few = sampled_per_label(given_rows, count, seed)
    held = Counter(labels)
    assert Counter(row.label for row in few) == {label: min(count, held[label]) for label in held}
    assert few == [row for row in given_rows if row in few]
    assert few == sampled_per_label(given_rows, count, seed)
    assert texts(few) <= texts(sampled_per_label(given_rows, count + 1, seed))


def test_the_rows_of_a_label_do_not_depend_on_the_other_labels_or_their_order():
    labels = list("ab" * 30)
    chosen = texts(sampled_per_label(rows(labels), 5, 3))
    random.Random(1).shuffle(labels)
    assert texts(sampled_per_label(rows(labels), 5, 3)) == chosen
    with_third = texts(sampled_per_label(rows(["c"] * 9 + labels), 5, 3))
    assert {text for text in with_third if text[0] != "c"} == chosen


def test_another_seed_draws_other_rows_and_labels_draw_apart():
    given_rows = rows("ab" * 50)
    assert texts(sampled_per_label(given_rows, 5, 1)) != texts(sampled_per_label(given_rows, 5, 2))
    few = sampled_per_label(given_rows, 5, 1)
    by_label = [{row.text_a[1:] for row in few if row.label == label} for label in "ab"]
    assert by_label[0] != by_label[1]


def test_without_labels_so_many_rows_are_drawn_in_all():
    given_rows = [Row(f"t:{n}", str(n), label=str(n / 7)) for n in range(50)]
    few = sampled(given_rows, 8, 4)
    assert len(few) == 8
    assert few == sampled(given_rows, 8, 4) != sampled(given_rows, 8, 5)
    assert [int(row.text_a) for row in few] == sorted(int(row.text_a) for row in few)
    assert sampled(given_rows, 99, 4) == given_rows


def test_a_task_draws_by_its_labels():
    given_rows = [Row(f"t:{n}", str(n), "x", str(n % 2)) for n in range(20)]
    assert Counter(row.label for row in TASKS["lcqmc"].sample(given_rows, 3, 0)) == {"0": 3, "1": 3}
