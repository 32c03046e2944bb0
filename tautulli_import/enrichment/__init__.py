"""Finding external ids: from the plays, from what Tautulli kept, from a person's corrections."""
