"""Training on any nuScenes-format set: what `occvino train` runs. Needs torch only; it is written for CPUs."""
