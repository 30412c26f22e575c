"""Documents out of text files, whole or in byte ranges: one sentence a line, a blank line ends a document."""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from albert_zh.files import MAX_LINE_BYTES, InputError, decode_line

_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class TextRange:
    """Bytes ``start`` to ``end`` of a file; both fall on line ends.

    Attributes:
        path: the file.
        file_number: its place among the input files, from 0.
        start: first byte.
        end: byte after the last.
        continues: True when ``start`` lies inside a document too long for one range.
    """

    path: str
    file_number: int
    start: int
    end: int
    continues: bool = False

    @property
    def bytes(self) -> int:
        """Length in bytes."""
        return self.end - self.start


@dataclass(frozen=True)
class Document:
    """Sentences of one document and where it begins: its input file's number and the byte there."""

    file_number: int
    offset: int
    sentences: list[str]


def whole_file(path: str | os.PathLike[str], file_number: int = 0) -> TextRange:
    """The range that is all of a file. Raises InputError when the file is missing or empty."""
    try:
        size = Path(path).stat().st_size
    except OSError as error:
        raise InputError(f"{os.fspath(path)}: cannot be read: {error.strerror}. Check the path.") from error
    if not size:
        raise InputError(
            f"{os.fspath(path)}: the file is empty. Write one sentence a line, blank lines between documents."
        )
    return TextRange(os.fspath(path), file_number, 0, size)


def cut_at_documents(whole: TextRange, range_bytes: int) -> list[TextRange]:
    """Ranges of about ``range_bytes`` that end where documents end, found by seeking, without reading the file.

    A document of more than ``range_bytes`` beyond the mark is cut at a line end, so that no range exceeds about
    twice ``range_bytes`` however the text is written.

    Raises:
        InputError: the file cannot be read, or a line is longer than ``MAX_LINE_BYTES``.
    """
    ranges, start, continues = [], whole.start, False
    with _opened(whole.path) as stream:
        while whole.end - start > range_bytes * 3 // 2:  # no crumb of a range at the end
            stream.seek(start + range_bytes)
            _read_line(stream, whole.path)  # the rest of the line the mark fell into
            end, inside = stream.tell(), True
            while end < whole.end and end < start + 2 * range_bytes:
                line = _read_line(stream, whole.path)
                end = stream.tell()
                if not line.strip():
                    inside = False
                    break
            if end >= whole.end:
                break
            ranges.append(TextRange(whole.path, whole.file_number, start, end, continues))
            start, continues = end, inside
    ranges.append(TextRange(whole.path, whole.file_number, start, whole.end, continues))
    return ranges


def read_documents(text: TextRange) -> Iterator[Document]:
    """Streams the documents of a range; sentences come without surrounding white space.

    Raises:
        InputError: not UTF-8 or a line over ``MAX_LINE_BYTES``, with file and line.
    """
    sentences: list[str] = []
    offset = at = text.start
    with _opened(text.path) as stream:
        stream.seek(text.start)
        while at < text.end and (raw := _read_line(stream, text.path)):
            try:
                sentence = (raw if at else raw.removeprefix(codecs.BOM_UTF8)).decode().strip()
            except UnicodeDecodeError:
                sentence = decode_line(raw, text.path, _line_number(text.path, at)).strip()  # raises, naming the line
            if sentence:
                if not sentences:
                    offset = at
                sentences.append(sentence)
            elif sentences:
                yield Document(text.file_number, offset, sentences)
                sentences = []
            at += len(raw)
    if sentences:
        yield Document(text.file_number, offset, sentences)


def _opened(path: str):
    try:
        return open(path, "rb", buffering=_BLOCK_BYTES)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}. Check the path and its rights.") from error


def _read_line(stream, path: str) -> bytes:
    raw = stream.readline(MAX_LINE_BYTES + 1)
    if len(raw) > MAX_LINE_BYTES:
        number = _line_number(path, stream.tell() - len(raw))
        raise InputError(
            f"{path}:{number}: the line is longer than {MAX_LINE_BYTES:,} bytes. "
            "Write one sentence a line and a blank line between documents."
        )
    return raw


def _line_number(path: str, offset: int) -> int:
    """Number of the line at a byte, from 1. Counted only for an error's message, so that planning need not read."""
    lines = 1
    with _opened(path) as stream:
        while offset > 0 and (block := stream.read(min(_BLOCK_BYTES, offset))):
            lines += block.count(b"\n")
            offset -= len(block)
    return lines
