"""Turn plays into items: films and episodes with their ids and keys."""
