"""Keep state between runs: the state file, its locks, the log of runs, checkpoints."""
