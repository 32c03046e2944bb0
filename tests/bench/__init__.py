"""Measure how fast imports are."""
