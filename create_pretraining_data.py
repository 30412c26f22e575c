"""Text to pretraining records: `albert-zh create-data` under its old name."""

import sys

from albert_zh.cli import main

if __name__ == "__main__":
    sys.exit(main(["create-data", *sys.argv[1:]], sys.argv[0]))
