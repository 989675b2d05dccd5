"""``python -m adumbra``, where the command ``adumbra`` is not on the path."""

import sys

from adumbra.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
