"""``python -m vlmgate``: the command line without its console script."""

import sys

from vlmgate.cli import main

sys.exit(main())
