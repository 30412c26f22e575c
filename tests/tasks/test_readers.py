"""Layouts of files: what is a field of a reader, and a user's own tables with their faults named by file and line."""

import csv
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from albert_zh.files import InputError
from albert_zh.tasks import TASKS
from albert_zh.tasks.readers import NamedColumns, TabSeparated, read_csv

XNLI = TASKS["xnli"]
XNLI_HEADER = (
    "language\tgold_label\tsentence1_binary_parse\tsentence2_binary_parse\tsentence1_parse\tsentence2_parse\tsentence1\t"
    "sentence2\tpromptID\tpairID\tgenre\tlabel1\tlabel2\tlabel3\tlabel4\tlabel5\tsentence1_tokenized\t"
    "sentence2_tokenized\tmatch"
)


def write(path, *lines, end="\n", encoding="utf-8"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(line + end for line in lines).encode(encoding))
    return path


def texts(rows):
    return [(row.text_a, row.text_b, row.label) for row in rows]


# XNLI: the published folders, a column that filters, a label by another word


def xnli_row(language, label, first, second):
    return "\t".join([language, label, *[""] * 4, first, second, "1", "2", "facetoface", *[label] * 5, "", "", "True"])


def test_only_the_chinese_rows_of_xnli_count_and_their_lines_are_those_of_the_file(tmp_path):
    rows = [
        xnli_row("en", "neutral", "And he said", "He said"),
        xnli_row("zh", "contradiction", "他说", "他没说"),
        xnli_row("ar", "neutral", "x", "y"),
        xnli_row("zh", "entailment", "他来了", "来了"),
    ]
    write(tmp_path / "XNLI-1.0" / "xnli.dev.tsv", XNLI_HEADER, *rows)
    read = XNLI.read("dev", tmp_path)
    assert texts(read) == [("他说", "他没说", "contradiction"), ("他来了", "来了", "entailment")]
    assert [row.where.rpartition(":")[2] for row in read] == ["3", "5"]
    assert [row.id for row in read] == [0, 1]


def test_contradictory_in_the_translated_training_file_is_contradiction(tmp_path):
    path = tmp_path / "XNLI-MT-1.0" / "multinli" / "multinli.train.zh.tsv"
    write(path, "premise\thypo\tlabel", "他 说\t他 没 说\tcontradictory", "甲\t乙\tneutral")
    assert [row.label for row in XNLI.read("train", tmp_path)] == ["contradiction", "neutral"]
    write(path, "premise\thypo\tlabel", "甲\t乙\tcontradicts")
    with pytest.raises(InputError, match=r'zh.tsv:2: label "contradicts" is not one of "entailment"'):
        XNLI.read("train", tmp_path)


def test_the_files_of_xnli_may_lie_in_one_folder_without_the_language_column(tmp_path):
    write(tmp_path / "dev.tsv", "text_a\ttext_b\tlabel", "甲\t乙\tneutral")
    assert texts(XNLI.read("dev", tmp_path)) == [("甲", "乙", "neutral")]


def test_a_row_of_another_language_is_still_checked_for_its_columns(tmp_path):
    reader = TabSeparated(("text_a", "text_b", "label"), only={"language": "zh"})
    path = write(tmp_path / "a.tsv", "language\ttext_a\ttext_b\tlabel", "en\ta\tb")
    with pytest.raises(InputError, match=r"a.tsv:2: 3 tab-separated columns where 4 are needed"):
        list(reader.cells(path, ()))


# CSV


def test_quoted_cells_hold_commas_quotes_and_line_breaks_and_lines_are_counted_through_them(tmp_path):
    path = write(tmp_path / "a.csv", "text,label", '"甲,乙 ""丙""",1', "", '"一\n二",0', "末,1")
    assert list(read_csv(path)) == [
        (1, ["text", "label"]),
        (2, ['甲,乙 "丙"', "1"]),
        (4, ["一\n二", "0"]),
        (6, ["末", "1"]),
    ]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["text,label", '"甲,1', "乙,0"], r"a.csv:2: not a CSV row \(unexpected end of data\)"),
        (["text,label", "甲,0", '"乙"丙,1'], r"a.csv:3: not a CSV row"),
        (
            ["text,label", "甲,乙,1"],
            r"a.csv:2: 3 columns where 2 are needed .*a comma in it needs quotes",
        ),
        (["text,label", "甲"], r"a.csv:2: 1 columns where 2 are needed"),
    ],
)
def test_a_csv_row_that_is_none_is_named_by_the_line_it_begins_on(tmp_path, lines, message):
    path = write(tmp_path / "a.csv", *lines)
    with pytest.raises(InputError, match=message):
        list(NamedColumns("text").cells(path))


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=("C",)), min_size=1).map(lambda s: s.replace("\r", "")),
            st.sampled_from(["好", "不,好", '"差"', "一\n行"]),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_what_pythons_csv_writes_is_read_back(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    with open(path, "w", encoding="utf-8-sig", newline="") as stream:
        csv.writer(stream).writerows([("text", "label"), *rows])
    cells = [cells for _, cells in NamedColumns("text").cells(path)]
    assert [(row["text_a"], row["label"]) for row in cells] == rows


# Own tables


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".txt", ".json", ".jsonl"])
def test_every_format_gives_the_same_cells_with_a_byte_order_mark_and_windows_line_ends(tmp_path, suffix):
    header, rows = ["评论", "编号", "类别"], [["很好", "k1", "正"], ["太差", "k2", "负"]]
    if suffix.startswith(".json"):
        lines = [json.dumps(dict(zip(header, row, strict=True)), ensure_ascii=False) for row in rows]
    else:
        lines = [("," if suffix == ".csv" else "\t").join(row) for row in (header, *rows)]
    path = write(tmp_path / f"a{suffix}", *lines, end="\r\n", encoding="utf-8-sig")
    assert [cells for _, cells in NamedColumns("评论", label="类别").cells(path)] == [
        {"text_a": "很好", "label": "正", "id": "k1"},
        {"text_a": "太差", "label": "负", "id": "k2"},
    ]


def test_columns_by_number_are_those_of_a_table_without_header(tmp_path):
    path = write(tmp_path / "a.tsv", "正\t很好", "负\t太差")
    assert list(NamedColumns("2", None, "1", numbered=True).cells(path)) == [
        (1, {"label": "正", "text_a": "很好"}),
        (2, {"label": "负", "text_a": "太差"}),
    ]


@pytest.mark.parametrize(
    ("name", "lines", "message"),
    [
        ("a.csv", ["句子,label", "甲,1"], r"a.csv:1: no column 'text'; the file has '句子', 'label'\."),
        ("a.tsv", ["text\ttext\tlabel", "甲\t乙\t1"], r"a.tsv:1: two columns are called 'text'"),
        ("a.jsonl", ['{"text": "甲", "label": 1}', '{"label": 1}'], r"a.jsonl:2: no 'text' in the row"),
        ("a.xlsx", ["x"], r"a.xlsx: files ending in '.xlsx' cannot be read. Save the rows as .csv"),
        ("a", ["x"], r"a: has no suffix"),
        ("a.json", ['[{"text": "甲"}]'], r"a.json:1: a JSON list, not an object"),
    ],
)
def test_a_table_that_cannot_be_read_is_named_by_file_line_and_column(tmp_path, name, lines, message):
    path = write(tmp_path / name, *lines)
    with pytest.raises(InputError, match=message):
        list(NamedColumns("text").cells(path))


def test_a_header_is_not_taken_for_a_row_of_a_table_by_number(tmp_path):
    path = write(tmp_path / "a.tsv", "label\ttext", "1\t甲")
    with pytest.raises(InputError, match=r"a.tsv:1: column 1 holds 'label', so this looks like a header"):
        list(NamedColumns("2", None, "1", numbered=True).cells(path))
