"""One reader a public format, and the demo shop."""
