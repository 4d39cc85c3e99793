"""Config group encoder."""
