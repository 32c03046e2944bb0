"""Talk HTTP to a server that a person named: its address, its certificate, limits, secrets."""
