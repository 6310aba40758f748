"""Whole paths through a studio that runs in processes of its own."""
