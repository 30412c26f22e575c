"""Rows of a task as records for the runners: `albert-zh create-finetuning-data` under its old name."""

import sys

from albert_zh.cli import main

if __name__ == "__main__":
    sys.exit(main(["create-finetuning-data", *sys.argv[1:]], sys.argv[0]))
