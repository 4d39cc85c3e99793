"""The bundle and the three ways to use it: a library call, batch scoring, an MLflow model."""
