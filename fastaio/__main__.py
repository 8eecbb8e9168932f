"""``python -m fastaio``: serves an application; :mod:`fastaio.serve.cli` says how."""

import sys

from .serve.cli import main

if __name__ == "__main__":
    sys.exit(main())
