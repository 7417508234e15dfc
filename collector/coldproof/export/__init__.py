"""A campaign for other tools: metrics for Prometheus, a table for pandas."""
