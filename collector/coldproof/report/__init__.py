"""storage_load_bench.md: one module a part of the report."""
