"""Run the command line: ``python -m coldproof``."""

from coldproof.cli import main

raise SystemExit(main())
