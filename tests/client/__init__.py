"""Tautulli's HTTP API, one question at a time."""
