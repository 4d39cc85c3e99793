"""Config group debug."""
