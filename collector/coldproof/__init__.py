"""The controller's side of coldproof: campaigns, intake of fetched results, reports."""

__version__ = "0.1.0"
