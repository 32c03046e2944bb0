"""Where items go. Found by name through the entry-point group ``tautulli_import.sinks``."""
