"""Read a Tautulli history: SQLite files, and HTTP, which makes one of them."""
