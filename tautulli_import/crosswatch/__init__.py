"""Push a history into a running CrossWatch over its HTTP interface (v0.11.3 or newer)."""
