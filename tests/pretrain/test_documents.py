import pytest
from hypothesis import given
from hypothesis import strategies as st

from albert_zh.files import InputError
from albert_zh.pretrain.documents import cut_at_documents, read_documents, whole_file


def write(path, content):
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def sentences(text):
    return [document.sentences for document in read_documents(text)]


def test_blank_lines_end_documents_and_empty_documents_are_none(tmp_path):
    path = write(tmp_path / "a.txt", "\ufeff\n\n甲\r\n  乙 \r\n\n \u3000\n\n丙\n\n\n")
    documents = list(read_documents(whole_file(path)))
    assert [document.sentences for document in documents] == [["甲", "乙"], ["丙"]]
    assert path.read_bytes()[documents[1].offset :].startswith("丙".encode())


@given(
    st.lists(
        st.lists(st.sampled_from(["一句话。", "a", "很长" * 30]), min_size=1, max_size=8), min_size=1, max_size=12
    ),
    st.integers(1, 400),
)
def test_ranges_cover_the_file_once_and_cut_no_document_unless_it_is_too_long(tmp_path_factory, documents, size):
    path = write(tmp_path_factory.mktemp("ranges") / "a.txt", "\n\n".join(map("\n".join, documents)) + "\n")
    whole = whole_file(path)
    ranges = cut_at_documents(whole, size)
    assert [text.start for text in ranges] == [0, *(text.end for text in ranges[:-1])]
    assert ranges[-1].end == whole.end
    pieces = [sentences(text) for text in ranges]
    assert [s for piece in pieces for document in piece for s in document] == [s for d in documents for s in d]
    if not any(text.continues for text in ranges):
        assert [document for piece in pieces for document in piece] == documents
    longest_line = 181
    assert all(text.bytes <= 2 * size + 2 * longest_line for text in ranges)


def test_a_file_without_blank_lines_is_cut_between_sentences(tmp_path):
    path = write(tmp_path / "a.txt", "这是一句话。\n" * 1000)
    ranges = cut_at_documents(whole_file(path), 2000)
    assert len(ranges) > 3
    assert all(text.continues for text in ranges[1:])
    assert sum(len(document) for text in ranges for document in sentences(text)) == 1000


def test_a_line_that_is_not_utf8_is_named_in_whatever_range_it_lies(tmp_path):
    path = write(tmp_path / "a.txt", "好\n\n".encode() * 50 + b"\xb0\xa1\n")
    for text in (whole_file(path), cut_at_documents(whole_file(path), 60)[-1]):
        with pytest.raises(InputError, match=r"a\.txt:101: not UTF-8"):
            sentences(text)
    first = write(tmp_path / "b.txt", b"\xff\n")
    with pytest.raises(InputError, match=r"b\.txt:1: not UTF-8"):
        sentences(whole_file(first))


def test_a_giant_line_is_named(tmp_path):
    path = write(tmp_path / "a.txt", "好\n" * 3 + "长" * (1 << 20))
    with pytest.raises(InputError, match=r"a\.txt:4: the line is longer than"):
        sentences(whole_file(path))
    with pytest.raises(InputError, match=r"a\.txt:4: the line is longer than"):
        cut_at_documents(whole_file(path), 1 << 20)


def test_missing_and_empty_files_are_named(tmp_path):
    with pytest.raises(InputError, match=r"nothing\.txt: cannot be read"):
        whole_file(tmp_path / "nothing.txt")
    with pytest.raises(InputError, match=r"a\.txt: the file is empty"):
        whole_file(write(tmp_path / "a.txt", b""))
