"""Config group data."""
