"""``python -m vinix_async.cli``."""

from . import main

main()
