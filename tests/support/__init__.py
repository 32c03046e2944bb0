"""Help for tests: histories, servers, and programs to run."""
