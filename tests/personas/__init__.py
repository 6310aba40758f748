"""Personas: who speaks, what they know, what holds them."""
