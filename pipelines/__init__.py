"""One thin entry a stage; the only place that knows Hydra, the disk and MLflow."""
