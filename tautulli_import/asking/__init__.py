"""Ask Plex, through Tautulli, for ids that no other evidence has."""
