"""What is pushed into a running CrossWatch."""
