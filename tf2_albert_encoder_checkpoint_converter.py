"""A TF1 checkpoint for the TF2 Model Garden: `albert-zh convert --to=tf2` under its old name."""

import sys

from albert_zh.cli import main

if __name__ == "__main__":
    sys.exit(main(["convert", "--to=tf2", *sys.argv[1:]], sys.argv[0]))
