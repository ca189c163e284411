"""The synthetic world: made up, rendered, and written as a nuScenes set with Occ3D labels. Needs the `synth` extra."""
