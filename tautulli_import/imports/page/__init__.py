"""Make the HTML page of ``--page`` from the figures of a run."""
