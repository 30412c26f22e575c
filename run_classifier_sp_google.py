"""Fine-tuning, the google family's script; the same code: `albert-zh finetune` under its old name."""

import sys

from albert_zh.cli import main

if __name__ == "__main__":
    sys.exit(main(["finetune", *sys.argv[1:]], sys.argv[0]))
