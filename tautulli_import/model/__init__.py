"""Define values and rules that need no input or output: plays, items, events, keys, filters."""
