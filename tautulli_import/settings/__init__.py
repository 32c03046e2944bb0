"""Load the settings, from the command line to the defaults."""
