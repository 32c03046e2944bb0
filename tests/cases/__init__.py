"""The cases: small histories with their right answers."""
