"""Feature rows: one row of config is one or more columns."""
