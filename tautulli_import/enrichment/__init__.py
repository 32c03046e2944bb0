"""Find external ids: in the plays, in Tautulli's lookup tables, in a person's corrections."""
