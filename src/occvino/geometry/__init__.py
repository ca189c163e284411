"""Cameras and where they sit. Every coordinate frame and unit of the project is named here, once.

Coordinate frames (all right-handed, metres):

* image  - pixels of the raw image: u right, v down. Resizing by s maps (u, v) to (s u, s v), as the published models
  have it; the half pixel that a centre-based convention would add is left out, here as there;
* sensor - one camera: x right, y down, z along the optical axis;
* ego    - the vehicle **when that camera was exposed**: x forward, y left, z up, from the ground below
  the middle of the rear axle;
* global - the map. The cameras do not fire at the same time, so each has its own ego pose;
* key ego - the ego frame of camera 0, in which occupancy is predicted.

`a2b` is a matrix [4, 4] that maps homogeneous column vectors of frame a to frame b: `p_b = a2b @ p_a`.
Quaternions are (w, x, y, z).
"""
