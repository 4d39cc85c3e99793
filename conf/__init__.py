"""The Hydra configuration, shipped inside the package as recsys.conf."""
