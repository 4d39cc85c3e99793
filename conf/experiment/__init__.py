"""Config group experiment."""
