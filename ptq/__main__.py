"""`python -m ptq` and the command `ptq`."""

import sys

from ptq.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
