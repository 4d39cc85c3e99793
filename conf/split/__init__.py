"""Config group split."""
