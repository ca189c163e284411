"""The synthetic world: made up, drawn, and written as a nuScenes set with Occ3D labels. Needs the `synth` extra."""
