"""Gator's tests: one folder per app, journeys/ for whole paths on real servers."""
