"""Tautulli's HTTP API: where it is, how it is asked, what its answers mean."""
