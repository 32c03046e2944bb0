"""Fetch a history over HTTP into a SQLite file."""
