"""A user's own files: columns guessed or named, labels discovered, what is wrong named by file, line and column."""

import json

import pytest

from albert_zh.files import InputError
from albert_zh.tasks import task_of
from albert_zh.tasks.custom import custom_from, custom_task, describe, guess_columns
from albert_zh.tasks.readers import NamedColumns


@pytest.fixture
def table(tmp_path):
    """``table(name, line, …)`` writes a file and returns its path as text."""

    def write(name, *lines):
        (tmp_path / name).write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        return str(tmp_path / name)

    return write


def texts(rows):
    return [(row.text_a, row.text_b, row.label) for row in rows]


# Columns


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        ("text,label", ("text", None, "label")),
        ("label,sentence1,sentence2", ("sentence1", "sentence2", "label")),
        ("编号,评论,类别", ("评论", None, "类别")),
        ("Query1,Query2,Label", ("Query1", "Query2", "Label")),
        ("id,说明,label", ("说明", None, "label")),  # the only one left is the text
        ("title,label", ("title", None, "label")),
        ("q1,q2,source,gold", ("q1", "q2", "gold")),
    ],
)
def test_columns_left_out_are_guessed_by_their_names(table, header, columns):
    found = guess_columns(table_path(table("a.csv", header, "x,y,z")))
    assert (found.text_a, found.text_b, found.label) == columns


def table_path(text):
    from pathlib import Path

    return Path(text)


def test_columns_given_win_and_a_given_text_means_no_pair(table):
    path = table_path(table("a.csv", "sentence1,sentence2,label,mood", "x,y,0,z"))
    assert guess_columns(path, text_column="sentence2") == NamedColumns("sentence2", None, "label")
    assert guess_columns(path, label_column="mood") == NamedColumns("sentence1", "sentence2", "mood")
    assert guess_columns(path, "sentence2", "sentence1") == NamedColumns("sentence2", "sentence1", "label")


def test_the_column_of_numbers_may_be_called_a_score(table):
    path = table_path(table("a.tsv", "s1\ts2\t相似度", "甲\t乙\t3.5"))
    assert guess_columns(path, regression=True) == NamedColumns("s1", "s2", "相似度")
    with pytest.raises(InputError, match=r"a.tsv:1: none of the columns .* is known as the label. .*--label_column"):
        guess_columns(path)


@pytest.mark.parametrize(
    ("header", "given", "message"),
    [
        (
            "a,b,label",
            {},
            r"a.csv:1: none of the columns 'a', 'b', 'label' is known as the text. Name it with --text",
        ),
        ("text,sentence,label", {}, r"a.csv:1: 'text', 'sentence' could all be the text. Choose with --text_column"),
        ("text,gold,label", {}, r"a.csv:1: 'gold', 'label' could all be the label. Choose with --label_column"),
        ("text,label", {"text_column": "body"}, r"a.csv:1: no column 'body'; the file has 'text', 'label'"),
        ("text,label", {"text_column": "label", "label_column": "label"}, r"a.csv:1: one column was given twice"),
        ("甲,1", {"text_column": "1"}, r"a.csv:1: columns by number: give --text_column and --label_column"),
        ("甲,1", {"text_column": "1", "label_column": "3"}, r"no column '3' in a table of 2 columns"),
        ("甲,1", {"text_column": "1", "label_column": "x"}, r"no column 'x' in a table of 2 columns"),
    ],
)
def test_columns_that_cannot_be_are_named_with_the_flag_that_helps(table, header, given, message):
    if header == "甲,1":
        given = {key: {"1": "2", "3": "3"}.get(value, value) for key, value in given.items()}
    with pytest.raises(InputError, match=message):
        guess_columns(table_path(table("a.csv", header, "x,y,z")), **given)


# Labels and rows


def test_labels_are_those_of_train_in_order_and_a_dev_label_beyond_them_is_named(table):
    train = table("train.csv", "text,label", "甲,正", "乙,负", "丙,中", "丁,正")
    dev = table("dev.csv", "text,label", "甲,正", "乙,好")
    task = custom_task({"train": train, "dev": dev})
    assert task.labels == tuple(sorted("正负中"))
    assert (task.kind, task.head.kind, task.head.outputs) == ("single", "classification", 3)
    assert texts(task.read("train", ""))[0] == ("甲", None, "正")
    with pytest.raises(InputError, match=r"dev.csv:3: column 'label': label \"好\" is not one of .*the training rows"):
        task.read("dev", "")


def test_whole_numbers_are_sorted_as_numbers(table):
    train = table("a.jsonl", *(json.dumps({"text": "甲", "label": label}) for label in (10, 9, 2, 9, -1)))
    assert custom_task({"train": train}).labels == ("-1", "2", "9", "10")
    dashes = table("b.csv", "text,label", "甲,--1", "乙,1", "丙,-")
    assert custom_task({"train": dashes}).labels == ("-", "--1", "1")


def test_files_of_one_task_may_be_of_different_formats_and_test_without_labels(table, tmp_path):
    table("train.csv", "s1,s2,label", "甲,乙,1", "丙,丁,0")
    table("dev.jsonl", '{"s1": "甲", "s2": "乙", "label": 1}')
    table("test.tsv", "s2\ts1", "乙\t甲")
    files = {"train": "train.csv", "dev": "dev.jsonl", "test": "test.tsv"}
    task = custom_task(files, tmp_path)
    assert task.kind == "pair"
    assert texts(task.read("dev", tmp_path)) == [("甲", "乙", "1")]
    assert texts(task.read("test", tmp_path)) == [("甲", "乙", None)]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], r"train.csv: the file holds no rows"),
        (["text,label"], r"train.csv: the file holds no rows"),
        (["text,label", "甲,"], r"train.csv:2: column 'label': no label in a train row"),
        (["text,label", "甲,1", "乙,1"], r"train.csv: column 'label' holds '1' in all 2 rows"),
        (
            ["text,label", *(f"甲,{n}.5" for n in range(50))],
            r"holds 50 different values in 50 rows: .*--regression=true",
        ),
    ],
)
def test_training_rows_that_teach_nothing_are_refused(table, lines, message):
    with pytest.raises(InputError, match=message):
        custom_task({"train": table("train.csv", *lines)})


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (" ,1", r"train.csv:3: column 'text': a text is empty"),
        ("甲", r"train.csv:3: 1 columns where 2 are needed \(text, label\)"),
    ],
)
def test_a_bad_row_is_named_by_file_line_and_column(table, line, message):
    path = table("train.csv", "text,label", "乙,0", line, "丙,1")
    with pytest.raises(InputError, match=message):
        custom_task({"train": path}).read("train", "")


def test_a_list_of_labels_is_no_label(table):
    with pytest.raises(InputError, match=r"a.jsonl:1: column 'label': the label is \['a', 'b'\]; a row has one label"):
        custom_task({"train": table("a.jsonl", '{"text": "甲", "label": ["a", "b"]}')})


def test_a_file_that_is_not_there_is_named_with_its_flag(table, tmp_path):
    train = table("train.csv", "text,label", "甲,1", "乙,0")
    with pytest.raises(InputError, match=r"--dev_file=.*nowhere.csv: no such file"):
        custom_task({"train": train, "dev": str(tmp_path / "nowhere.csv")})


def test_a_dev_file_without_the_columns_of_train_is_named(table):
    train = table("train.csv", "text,label", "甲,1", "乙,0")
    task = custom_task({"train": train, "dev": table("dev.csv", "sentence,label", "甲,1")})
    with pytest.raises(InputError, match=r"dev.csv:1: no column 'text'; the file has 'sentence', 'label'"):
        task.read("dev", "")


# What a finished folder keeps


@pytest.mark.parametrize("regression", [False, True])
def test_a_described_task_is_the_same_without_its_training_file(table, tmp_path, regression):
    train = table("train.csv", "s1,s2,score,mood", "甲,乙,3.5,好", "丙,丁,1,差")
    columns = {} if regression else {"label_column": "mood"}
    task = custom_task({"train": train, "dev": train}, regression=regression, **columns)
    about = json.loads(json.dumps(describe(task)))
    (tmp_path / "train.csv").unlink()
    assert task_of({"task": "custom", "custom": about}) == task
    new = table("new.csv", "a,b", "戊,己")
    other = custom_from(about, {"test": new}, text_column="a", text_pair_column="b")
    assert texts(other.read("test", "")) == [("戊", "己", None)]
    assert other.labels == task.labels


def test_a_description_that_is_not_whole_is_refused():
    with pytest.raises(InputError, match="not whole"):
        custom_from({"columns": {"text_a": "text"}})


# Rows to answer


@pytest.mark.parametrize("name", ["new.csv", "new.tsv", "new.jsonl"])
def test_new_rows_may_come_with_the_columns_of_the_training_file_or_as_plain_text(table, name):
    task = custom_task({"train": table("train.csv", "评论,类别", "甲,1", "乙,0")})
    columns = {"new.csv": ["类别,评论", '1,"好,很好"'], "new.tsv": ["类别\t评论", "1\t好,很好"]}
    columns["new.jsonl"] = ['{"评论": "好,很好"}']
    ((where, found),) = task.read_texts(table(name, *columns[name]))
    assert found == ("好,很好",)
    assert where.endswith(f"{name}:{1 if name == 'new.jsonl' else 2}")
    assert [found for _, found in task.read_texts(table("plain.tsv", "好,很好", "差"))] == [("好,很好",), ("差",)]


def test_new_rows_without_the_text_column_are_refused(table):
    task = custom_task({"train": table("train.csv", "评论,类别", "甲,1", "乙,0")})
    with pytest.raises(InputError, match=r"new.csv:1: no column '评论'; the file has 'text'"):
        task.read_texts(table("new.csv", "text", "好"))
