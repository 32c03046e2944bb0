"""Keep playback events in a DuckDB file, each play once."""
