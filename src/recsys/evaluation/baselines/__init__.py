"""Models that every report is held against."""
