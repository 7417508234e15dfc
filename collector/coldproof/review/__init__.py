"""The capacity review: budgets held against what was measured, and what to do about it."""
