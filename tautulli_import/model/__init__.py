"""Values and rules without input or output: plays, items, events, keys, and which are wanted."""
