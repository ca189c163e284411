"""Data sets: nuScenes tables and info files, Occ3D ground truth, and the scene that ships inside."""
