"""Turn rows of the history into playback events, and consume them."""
