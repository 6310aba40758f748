"""Scheduling over HTTP, one file per resource."""
