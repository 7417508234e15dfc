"""The probe agent of coldproof: brings one node to a proven cache state and times server starts.

Standard library only, Python 3.9 or newer. Modules import downwards only: see docs/agent.md.
"""

__version__ = "0.1.0"
