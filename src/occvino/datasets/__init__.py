"""Data sets: nuScenes tables and info files, Occ3D truth, the synthetic world written in both, the demo's street."""
