"""Config group tracking."""
