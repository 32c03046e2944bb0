"""The command line: parse options, call the core, print, exit with a code."""
