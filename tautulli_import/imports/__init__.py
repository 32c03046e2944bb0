"""Carry out one import and report its result."""
