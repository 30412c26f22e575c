"""``python -m albert_zh COMMAND``."""

import sys

from albert_zh.cli import main

if __name__ == "__main__":
    sys.exit(main())
