"""Space Ranger folders, h5ad files and tables, read into arrays."""
