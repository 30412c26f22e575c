"""What the code takes for granted about Unicode's characters."""

import sys
import unicodedata


def test_the_tables_hold_what_the_code_takes_for_granted():
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        category = unicodedata.category(character)
        lowered = character.lower()
        assert len(lowered) == 1 or character == "İ"
        if code >= 0x20000:
            assert not category.startswith(("P", "Z"))
        normal = unicodedata.normalize("NFD", lowered) if category[0] in "PSLZ" else lowered
        if category.startswith("P"):
            assert len(normal) == 1
            assert unicodedata.category(normal).startswith("P")
        if not character.isspace():
            assert not any(part.isspace() for part in normal)
