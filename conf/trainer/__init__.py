"""Config group trainer."""
