"""A TF1 checkpoint for PyTorch: `albert-zh convert --to=huggingface` under its old name."""

import sys

from albert_zh.cli import main

if __name__ == "__main__":
    sys.exit(main(["convert", "--to=huggingface", *sys.argv[1:]], sys.argv[0]))
