"""Where plays come from: Tautulli's database, later its HTTP API."""
