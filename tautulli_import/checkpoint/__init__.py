"""What is remembered between runs: the state file, what stands in it, and the locks."""
