"""tautulli-import: Tautulli's watch history, taken to CrossWatch or anywhere else."""

__version__ = "0.1.0"
