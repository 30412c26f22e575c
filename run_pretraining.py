"""Pretraining from records: `albert-zh pretrain` under its old name."""

import sys

from albert_zh.cli import main

if __name__ == "__main__":
    sys.exit(main(["pretrain", *sys.argv[1:]], sys.argv[0]))
