"""Find out what was played: films and shows, and their external ids."""
