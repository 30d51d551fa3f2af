"""Recipe and store to a plan: the DAG, the action keys, the reasons."""
