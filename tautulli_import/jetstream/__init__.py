"""NATS JetStream: where playback events are published to, and consumed from."""
