"""From predictions to metrics, differences, a verdict and a report."""
