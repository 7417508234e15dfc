"""Nodes held against each other: hardware classes, outliers, drift, ceilings, findings."""
