"""Read a Tautulli history out of SQLite files."""
