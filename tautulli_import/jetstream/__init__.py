"""Publish playback events to NATS JetStream, and consume them from it."""
