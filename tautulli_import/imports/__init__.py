"""Carry out one import, and report what came of it."""
