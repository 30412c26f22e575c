"""Reading comprehension on questions in SQuAD's format: `albert-zh squad` under its old name."""

import sys

from albert_zh.cli import main

if __name__ == "__main__":
    sys.exit(main(["squad", *sys.argv[1:]], sys.argv[0]))
