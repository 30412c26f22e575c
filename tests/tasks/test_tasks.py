"""The table of tasks: names, labels and files are the published ones."""

import pytest

from albert_zh.files import InputError
from albert_zh.tasks import TASKS, get_task
from albert_zh.tasks.baselines import character_overlap


def test_lcqmc_pair_is_lcqmc():
    assert get_task("lcqmc_pair") is get_task("LCQMC") is TASKS["lcqmc"]


def test_tnews_has_its_fifteen_labels_each_with_a_name():
    labels = TASKS["tnews"].labels
    assert labels == tuple(str(number) for number in range(100, 117) if number not in (105, 111))
    assert set(TASKS["tnews"].label_names) == set(labels)
    assert TASKS["tnews"].name_of("109") == "109 news_tech"


@pytest.mark.parametrize("task", {task.name: task for task in TASKS.values()}.values(), ids=lambda task: task.name)
def test_every_row_of_the_table_is_whole(task):
    assert {"train", "dev", "test"} <= set(task.files)
    assert task.head.kind == "classification"
    assert task.head.outputs == len(task.labels)
    assert 8 <= task.recipe.max_seq_length <= 512
    assert 0 < task.recipe.learning_rate < 1e-3
    assert min(task.recipe.batch_size, task.recipe.epochs) >= 1
    assert task.submission is None or set(task.submission.files) <= set(task.files)
    assert all(0 < score <= 1 for row in task.published for score in (row.dev, row.test) if score is not None)
    assert task.about


def test_an_unknown_task_names_the_nearest():
    with pytest.raises(InputError, match="Did you mean 'lcqmc"):
        get_task("lcqcm")


def test_the_overlap_of_a_text_with_itself_is_whole():
    assert character_overlap("你好", "你好") == 1
