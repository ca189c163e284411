// The faces that can be seen, and the light on them.

const NORMALS = [[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]];
const SHADOW_STEPS = 28;

/**
 * Faces of drawn voxels that have no drawn neighbour before them.
 *
 * @param drawn  u8 [Dx, Dy, Dz], 0 for nothing
 * @param shape  [Dx, Dy, Dz]
 * @param sun    unit vector towards the sun, in voxels
 * @returns cells u16 [F, 4] (x, y, z, side), light u8 [F, 4] (of the sky, at the four corners), sun u8 [F], count F
 */
export function visibleFaces(drawn, shape, sun) {
  const padded = pad(drawn, shape);
  const { at } = padded;
  let count = 0;
  forFaces(padded, shape, () => count++);
  const cells = new Uint16Array(4 * count), light = new Uint8Array(4 * count), lit = new Uint8Array(count);
  const heights = heightsOf(drawn, shape);
  let f = 0;
  forFaces(padded, shape, (x, y, z, side) => {
    cells.set([x, y, z, side], 4 * f);
    const front = NORMALS[side], axis = side >> 1;
    const here = at(x + front[0], y + front[1], z + front[2]);
    const u = padded.strides[(axis + 1) % 3], v = padded.strides[(axis + 2) % 3];
    for (let corner = 0; corner < 4; corner++) {
      light[4 * f + corner] = sky(padded.values, here, corner & 1 ? u : -u, corner & 2 ? v : -v);
    }
    lit[f++] = sunOn(x, y, z, front, heights, shape, sun);
  });
  return { cells, light, lit, count };
}

function pad(drawn, [nx, ny, nz]) {
  const strides = [(ny + 2) * (nz + 2), nz + 2, 1];
  const values = new Uint8Array((nx + 2) * strides[0]);
  const at = (x, y, z) => (x + 1) * strides[0] + (y + 1) * strides[1] + z + 1;
  for (let x = 0, i = 0; x < nx; x++) {
    for (let y = 0; y < ny; y++, i += nz) values.set(drawn.subarray(i, i + nz), at(x, y, 0));
  }
  return { values, strides, at };
}

function forFaces({ values, strides, at }, [nx, ny, nz], each) {
  const before = NORMALS.map((n) => n[0] * strides[0] + n[1] * strides[1] + n[2] * strides[2]);
  for (let x = 0; x < nx; x++) {
    for (let y = 0; y < ny; y++) {
      for (let z = 0, i = at(x, y, 0); z < nz; z++, i++) {
        if (!values[i]) continue;
        for (let side = 0; side < 6; side++) if (!values[i + before[side]]) each(x, y, z, side);
      }
    }
  }
}

/** How much of the sky a corner sees, 0..255, from the three cells round it in the layer before the face. */
function sky(values, here, du, dv) {
  const a = values[here + du] ? 1 : 0, b = values[here + dv] ? 1 : 0;
  const hidden = a && b ? 3 : a + b + (values[here + du + dv] ? 1 : 0);
  return [255, 205, 165, 130][hidden];
}

function heightsOf(drawn, [nx, ny, nz]) {
  const heights = new Float32Array(nx * ny);
  for (let i = 0; i < nx * ny; i++) {
    for (let z = nz - 1; z >= 0; z--) {
      if (drawn[i * nz + z]) {
        heights[i] = z + 1;
        break;
      }
    }
  }
  return heights;
}

/** 255 where the sun reaches the middle of a face, 0 in full shadow, soft in between. */
function sunOn(x, y, z, front, heights, [nx, ny], sun) {
  const stretch = 1 / Math.max(Math.abs(sun[0]), Math.abs(sun[1]));
  let px = x + 0.5 + 0.5 * front[0], py = y + 0.5 + 0.5 * front[1], pz = z + 0.5 + 0.5 * front[2], lit = 1;
  for (let k = 1; k <= SHADOW_STEPS && lit > 0; k++) {
    px += sun[0] * stretch;
    py += sun[1] * stretch;
    pz += sun[2] * stretch;
    if (px < 0 || py < 0 || px >= nx || py >= ny) break;
    const above = heights[Math.floor(px) * ny + Math.floor(py)] - pz;
    if (above > 0) lit = Math.min(lit, 1 - Math.min(1, above / (0.4 + 0.12 * k)));
  }
  return Math.round(255 * lit);
}
