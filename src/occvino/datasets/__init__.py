"""Data sets: nuScenes tables and info files, Occ3D ground truth, and the synthetic world that is written in both."""
