// Volumes of voxels: how they are stored in the page, what differs, and what a ray hits. Indices run [x, y, z].

/** Bytes of an element that holds base64 of a zlib stream. */
async function stored(id) {
  const text = document.getElementById(id).textContent;
  const packed = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

const decoded = new Map();

/** Volumes of a frame by name: labels, and truth, mask, instances where it has them. Decoded once. */
export function volumesOf(index, frame) {
  if (!decoded.has(index)) {
    decoded.set(
      index,
      Promise.all(frame.volumes.map(async (name) => [name, await stored(`volume-${index}-${name}`)])).then((all) => {
        const found = Object.fromEntries(all);
        if (found.instances) found.instances = new Uint16Array(found.instances.buffer); // little-endian, as written
        return found;
      }),
    );
  }
  return decoded.get(index);
}

export const MISSED = 0, INVENTED = 1, WRONG = 2, RIGHT = 3, NOTHING = 255;

/** How labels differ from the truth, of each voxel; outside of the mask nobody knows, so that nothing is said. */
export function differences({ labels, truth, mask }, free) {
  const kinds = new Uint8Array(labels.length).fill(NOTHING);
  for (let i = 0; i < labels.length; i++) {
    if ((mask && !mask[i]) || (labels[i] === free && truth[i] === free)) continue;
    if (labels[i] === truth[i]) kinds[i] = RIGHT;
    else if (labels[i] === free) kinds[i] = MISSED;
    else kinds[i] = truth[i] === free ? INVENTED : WRONG;
  }
  return kinds;
}

/** How many voxels there are of each kind. */
export function countsOf(kinds, size) {
  const counts = new Uint32Array(size);
  for (let i = 0; i < kinds.length; i++) if (kinds[i] < size) counts[kinds[i]]++;
  return counts;
}

/**
 * The first drawn voxel on a ray, as [x, y, z], or null. `from` and `along` are in units of voxels from the grid's
 * lower corner. Source: Amanatides and Woo, "A Fast Voxel Traversal Algorithm for Ray Tracing" (1987).
 */
export function hit(drawn, shape, from, along) {
  let enter = 0, leave = Infinity;
  for (let k = 0; k < 3; k++) {
    const a = (0 - from[k]) / along[k], b = (shape[k] - from[k]) / along[k];
    enter = Math.max(enter, Math.min(a, b));
    leave = Math.min(leave, Math.max(a, b));
  }
  if (!(enter < leave)) return null;
  const cell = [0, 0, 0], next = [0, 0, 0], step = [0, 0, 0], stride = [0, 0, 0];
  for (let k = 0; k < 3; k++) {
    const at = from[k] + along[k] * enter;
    cell[k] = Math.min(shape[k] - 1, Math.max(0, Math.floor(at)));
    step[k] = along[k] < 0 ? -1 : 1;
    stride[k] = Math.abs(1 / along[k]);
    next[k] = enter + Math.abs((cell[k] + (along[k] < 0 ? 0 : 1) - at) / along[k]);
  }
  while (cell.every((c, k) => c >= 0 && c < shape[k])) {
    if (drawn[(cell[0] * shape[1] + cell[1]) * shape[2] + cell[2]]) return cell;
    const k = next[0] < next[1] ? (next[0] < next[2] ? 0 : 2) : next[1] < next[2] ? 1 : 2;
    cell[k] += step[k];
    next[k] += stride[k];
  }
  return null;
}
