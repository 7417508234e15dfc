"""A campaign for a bug report: without secrets, and names replaced by pseudonyms."""
