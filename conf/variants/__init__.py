"""Config group variants."""
