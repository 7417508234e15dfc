"""Lets `python3 -m coldproof_agent` behave as the archive does."""

from coldproof_agent.cli import main

raise SystemExit(main())
