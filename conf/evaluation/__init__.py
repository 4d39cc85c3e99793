"""Config group evaluation."""
