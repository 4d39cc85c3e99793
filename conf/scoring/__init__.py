"""Config group scoring."""
