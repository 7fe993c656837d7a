"""`python -m ptq` and the command `ptq`."""

import os
import sys


def main() -> int:
    """Run the command line with one BLAS thread unless the user says otherwise.

    The matrices of the demo are small: more threads would wait for each other, most of all on a busy machine.
    The variable counts only if it is set before NumPy is imported.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from ptq import cli

    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
