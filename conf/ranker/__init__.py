"""Config group ranker."""
