"""Columns of the ranking frame that come from state: their catalogue, and blocks of them for rows."""
