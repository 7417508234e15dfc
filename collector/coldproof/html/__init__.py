"""report.html: the report as one page that asks for nothing and runs nothing but its own script.

Its words and numbers are those of storage_load_bench.md, block by block, so the two cannot differ.
"""
