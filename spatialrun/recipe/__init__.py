"""YAML to a validated recipe, with positions for every error."""
