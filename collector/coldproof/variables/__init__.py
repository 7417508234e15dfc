"""The coldproof_* variables of one node: what is wrong with them, and what they ask for."""
