"""How likely two sentences mean the same: `albert-zh similarity`; on a terminal it asks for more."""

import sys

from albert_zh.cli import main

if __name__ == "__main__":
    sys.exit(main(["similarity", *sys.argv[1:]], sys.argv[0]))
