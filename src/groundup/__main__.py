"""`python -m groundup` is the command `groundup`."""

import sys

from .cli.main import main

sys.exit(main())
