"""The table of tasks: names, labels and files are the published ones, and every shipped sample is one of its tasks."""

import json
from pathlib import Path

import pytest

from albert_zh.cli import CHECKOUT
from albert_zh.files import InputError
from albert_zh.tasks import CUSTOM, TASKS, PublishedScore, get_task, task_of
from albert_zh.tasks.baselines import character_overlap


def test_lcqmc_pair_is_lcqmc():
    assert get_task("lcqmc_pair") is get_task("LCQMC") is TASKS["lcqmc"]


def test_tnews_has_its_fifteen_labels_each_with_a_name():
    labels = TASKS["tnews"].labels
    assert labels == tuple(str(number) for number in range(100, 117) if number not in (105, 111))
    assert set(TASKS["tnews"].label_names) == set(labels)
    assert TASKS["tnews"].name_of("109") == "109 news_tech"


#: Kinds of heads that answer with labels, one output a label.
LABELLED = ("classification",)
HEADS = (*LABELLED, "regression", "choice", "span", "tagging", "crf")


@pytest.mark.parametrize("task", {task.name: task for task in TASKS.values()}.values(), ids=lambda task: task.name)
def test_every_row_of_the_table_is_whole(task):
    assert "train" in task.files
    assert all(split == "train" or split.startswith(("dev", "test")) for split in task.files)
    assert {"dev", "test"} & set(task.files)
    assert task.head.kind in HEADS
    assert task.head.kind not in LABELLED or task.head.outputs == len(task.labels)
    assert task.head.outputs >= 1
    assert 8 <= task.recipe.max_seq_length <= 512
    assert 0 < task.recipe.learning_rate < 1e-3
    assert min(task.recipe.batch_size, task.recipe.epochs) >= 1
    assert task.submission is None or set(task.submission.files) <= set(task.files)
    assert all(0 < score <= 1 for row in task.published for score in (row.dev, row.test) if score is not None)
    assert task.about


SAMPLES = sorted(path for path in Path(CHECKOUT, "data").iterdir() if path.is_dir())


def said(row):
    """What a row of any kind asks: its texts, without where it stands and what is right."""
    fields = {name: value for name, value in vars(row).items() if name not in ("where", "id", "label", "group")}
    return tuple(
        value
        for value in fields.values()
        if isinstance(value, str) or (isinstance(value, tuple) and all(isinstance(text, str) for text in value))
    )


@pytest.mark.parametrize("folder", SAMPLES, ids=lambda folder: folder.name)
def test_every_shipped_sample_folder_is_read_by_its_task_and_no_row_is_in_two_parts(folder):
    task = get_task(folder.name).named(folder)
    rows = {split: task.read(split, folder) for split in task.files if task.has(split, folder)}
    assert {"train", "dev"} <= set(rows)
    assert all(task.has_gold(row) for split in rows if not split.startswith("test") for row in rows[split])
    asked = {split: {said(row) for row in rows[split]} for split in rows}
    for split in rows:
        for other in rows:
            if split != other and not (split.startswith("test") and other.startswith("test")):
                assert not asked[split] & asked[other], f"{split} and {other} share a row"


WITH_LABELS = [folder for folder in SAMPLES if get_task(folder.name).head.kind in LABELLED]


@pytest.mark.parametrize("folder", WITH_LABELS, ids=lambda folder: folder.name)
def test_every_label_of_dev_is_in_train(folder):
    task = get_task(folder.name)
    labels = {row.label for row in task.read("train", folder)}
    assert len(labels) >= 2
    for split in ("dev", *task.further_dev(folder)):
        assert {row.label for row in task.read(split, folder)} <= labels


def test_every_task_of_the_table_has_its_sample_rows_and_there_are_no_others():
    assert {folder.name for folder in SAMPLES} == {task.name for task in TASKS.values()}


def test_published_scores_are_those_of_the_tables():
    def shares(name):
        return [score.test for score in TASKS[name].published]

    assert shares("cmnli") == [0.7061, 0.7758, 0.7877, 0.8113, 0.8314]
    assert shares("cluewsc2020") == [0.585, 0.6434, 0.6224, 0.6434, 0.6154]
    assert TASKS["xnli"].published[0] == PublishedScore("ALBERT-zh base", dev=0.77, test=0.771)


# Names that lie beside the rows


def test_the_names_of_a_class_file_are_those_of_the_labels_in_order(tmp_path):
    task = TASKS["thucnews"]
    assert task.named(tmp_path) is task
    names = "财经 房产 股票 教育 科技 社会 时政 体育 游戏 娱乐".split()
    (tmp_path / "class.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
    assert task.named(tmp_path).name_of("3") == "3 教育"
    (tmp_path / "class.txt").write_text("\n".join(names[:9]), encoding="utf-8")
    with pytest.raises(InputError, match=r"class.txt: 9 names for the 10 labels of thucnews.*--task_name=custom"):
        task.named(tmp_path)


def test_the_names_of_clues_labels_file_belong_to_their_labels_and_stay_apart(tmp_path):
    rows = [{"label": str(n), "label_des": "其他" if n > 116 else f"类{n}"} for n in reversed(range(119))]
    (tmp_path / "labels.json").write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    names = TASKS["iflytek"].named(tmp_path).label_names
    assert (names["0"], names["116"], names["117"], names["118"]) == ("类0", "类116", "其他 117", "其他 118")


# Looking up


def test_own_data_is_no_row_of_the_table():
    assert CUSTOM not in TASKS
    with pytest.raises(InputError, match="your own data, whose files must be named: --train_file"):
        get_task("Custom")
    assert task_of({"task": "lcqmc"}) is TASKS["lcqmc"]


def test_an_unknown_task_names_the_nearest():
    with pytest.raises(InputError, match="Did you mean 'lcqmc"):
        get_task("lcqcm")


def test_the_overlap_of_a_text_with_itself_is_whole():
    assert character_overlap("你好", "你好") == 1
