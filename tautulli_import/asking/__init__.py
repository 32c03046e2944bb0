"""Asking Plex, through Tautulli, for the ids that nothing else tells."""
