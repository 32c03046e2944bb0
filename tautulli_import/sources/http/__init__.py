"""Fetch a history over HTTP, and make a SQLite file of it."""
