"""A folder for PYTHONPATH: it holds `sitecustomize`, which every interpreter runs, and nothing else."""
