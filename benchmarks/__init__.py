"""Measurements: one module per area, each prints a table and keeps JSON."""
