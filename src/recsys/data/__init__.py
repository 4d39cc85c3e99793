"""From raw tables to the coded log, windows, requests and truth."""
