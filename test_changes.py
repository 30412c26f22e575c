"""ALBERT's three changes to BERT in numbers: `albert-zh changes` under its old name."""

import sys

from albert_zh.cli import main

if __name__ == "__main__":
    sys.exit(main(["changes", *sys.argv[1:]], sys.argv[0]))
