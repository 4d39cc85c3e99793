"""What is written down about a run: parameters, metrics and artefacts, in MLflow or nowhere."""
