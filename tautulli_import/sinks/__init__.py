"""Write items and events. The entry-point group ``tautulli_import.sinks`` names the sinks."""
