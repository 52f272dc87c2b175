"""``python -m vinix_async.cli`` runs the ``vinix`` command."""

from . import main

main()
