"""Loads the plugin, nothing else."""

pytest_plugins = ["vlmgate.plugin"]
