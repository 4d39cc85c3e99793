"""Config group candidates."""
