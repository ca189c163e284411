// What WebGL draws: voxel faces, the vehicle, rings, cameras, the way. Ego frame: x forward, y left, z up, metres.

import {
  BoxGeometry, BufferAttribute, BufferGeometry, Color, DoubleSide, EdgesGeometry, Group, InstancedBufferAttribute,
  InstancedBufferGeometry, LinearSRGBColorSpace, Line, LineBasicMaterial, LineSegments, Mesh, MeshBasicMaterial,
  PerspectiveCamera, Raycaster, Scene, ShaderMaterial, Vector2, Vector3, WebGLRenderer,
} from "three";
import { OrbitControls } from "three/addons/controls/OrbitControls.js";
import { visibleFaces } from "./faces.js";
import { hit } from "./volume.js";

const SUN = [0.45, 0.55, 0.7].map((v) => v / Math.hypot(0.45, 0.55, 0.7));
const EYE = [-30, 0, 21], AT = [7, 0, 0], RINGS = [10, 20, 30, 40];
const EGO = { length: 4.6, width: 1.9, rear: 1.0 };

const VERTEX = `
attribute vec4 cell; attribute vec4 tone; attribute vec4 sky;
uniform vec3 lower; uniform vec3 size;
varying vec2 across; varying vec3 colour; varying float sun; varying float far;
flat varying vec4 corners; flat varying float up;
void main() {
  int side = int(cell.w + 0.5), axis = side / 2;
  float sign = side % 2 == 0 ? 1.0 : -1.0;
  vec3 at = vec3(0.0), normal = vec3(0.0);
  at[axis] = max(sign, 0.0);
  at[(axis + 1) % 3] = position.x;
  at[(axis + 2) % 3] = position.y;
  normal[axis] = sign;
  vec3 placed = lower + (cell.xyz + at) * size;
  across = position.xy; colour = tone.rgb; corners = sky; up = normal.z;
  sun = tone.a * max(dot(normal, vec3(${SUN.join(", ")})), 0.0);
  far = distance(placed, cameraPosition);
  bool away = dot(normal, cameraPosition - placed) <= 0.0; // the other faces of the voxel hide it
  gl_Position = away ? vec4(2.0, 2.0, 2.0, 1.0) : projectionMatrix * viewMatrix * vec4(placed, 1.0);
}`;

const FRAGMENT = `
uniform vec3 page; uniform float reach;
varying vec2 across; varying vec3 colour; varying float sun; varying float far;
flat varying vec4 corners; flat varying float up;
void main() {
  float sky = mix(mix(corners.x, corners.y, across.x), mix(corners.z, corners.w, across.x), across.y);
  float light = (0.5 + 0.06 * up) * sky + 0.56 * sun / ${SUN[2]};
  vec2 width = fwidth(across), rim = min(across, 1.0 - across);
  float edge = 1.0 - smoothstep(0.0, 1.4, min(rim.x / width.x, rim.y / width.y));
  light *= 1.0 - 0.16 * edge * clamp(0.25 / max(width.x, width.y) - 0.6, 0.0, 1.0); // no lines where voxels are small
  gl_FragColor = vec4(mix(min(colour * light, 1.0), page, 0.45 * clamp(far / reach - 1.0, 0.0, 1.0)), 1.0);
}`;

export class Stage {
  constructor(canvas, grid) {
    this.grid = grid;
    this.renderer = new WebGLRenderer({ canvas, antialias: true, preserveDrawingBuffer: true });
    this.renderer.outputColorSpace = LinearSRGBColorSpace; // colours go out as they come in
    this.renderer.setPixelRatio(Math.min(devicePixelRatio, 2));
    this.scene = new Scene();
    this.camera = new PerspectiveCamera(44, 1, 0.5, 600);
    this.camera.up.set(0, 0, 1);
    this.controls = new OrbitControls(this.camera, canvas);
    Object.assign(this.controls, { zoomToCursor: true, screenSpacePanning: false, maxPolarAngle: 1.55, minDistance: 2, maxDistance: 250 });
    this.controls.addEventListener("change", () => this.draw());
    this.#faces();
    this.#ego();
    this.rings = new Group();
    this.cameras = new Group();
    this.marks = new Group();
    this.box = new LineSegments(new EdgesGeometry(new BoxGeometry(...grid.step.map((s) => s * 1.06))), new LineBasicMaterial());
    this.box.visible = false;
    this.scene.add(this.rings, this.cameras, this.marks, this.box);
    this.drawn = new Uint8Array(0);
    this.look("home");
    new ResizeObserver(() => this.resize()).observe(canvas.parentElement);
  }

  #faces() {
    this.geometry = new InstancedBufferGeometry();
    this.geometry.setAttribute("position", new BufferAttribute(new Float32Array([0, 0, 0, 1, 0, 0, 1, 1, 0, 0, 1, 0]), 3));
    this.geometry.setIndex([0, 1, 2, 0, 2, 3]);
    this.geometry.instanceCount = 0;
    const { lower, step, shape } = this.grid;
    const uniforms = {
      lower: { value: new Vector3(...lower) }, size: { value: new Vector3(...step) }, page: { value: new Color() },
      reach: { value: Math.max(shape[0] * step[0], shape[1] * step[1]) },
    };
    this.material = new ShaderMaterial({ uniforms, vertexShader: VERTEX, fragmentShader: FRAGMENT, side: DoubleSide });
    const mesh = new Mesh(this.geometry, this.material);
    mesh.frustumCulled = false;
    this.scene.add(mesh);
  }

  #ego() {
    const { length, width, rear } = EGO;
    this.paint = new MeshBasicMaterial();
    this.trim = new LineBasicMaterial();
    const parts = [[length, 0.75, 0.6, length / 2 - rear], [length * 0.55, 0.55, 1.2, length * 0.42 - rear]];
    for (const [long, high, z, x] of parts) {
      const hull = new BoxGeometry(long, long < length ? width - 0.2 : width, high);
      const body = new Mesh(hull, this.paint), edges = new LineSegments(new EdgesGeometry(hull), this.trim);
      for (const each of [body, edges]) each.position.set(x, 0, z);
      this.scene.add(body, edges);
    }
  }

  /** Show voxels: `drawn` u8 [Dx, Dy, Dz], 0 for nothing; `colourOf(index)` gives [r, g, b], 0..255. */
  show(drawn, colourOf) {
    this.drawn = drawn;
    const { shape } = this.grid, sun = SUN.map((v, k) => v / this.grid.step[k]);
    const faces = visibleFaces(drawn, shape, sun), tones = new Uint8Array(4 * faces.count);
    for (let f = 0; f < faces.count; f++) {
      const [x, y, z] = faces.cells.subarray(4 * f, 4 * f + 3);
      tones.set(colourOf((x * shape[1] + y) * shape[2] + z), 4 * f);
      tones[4 * f + 3] = faces.lit[f];
    }
    this.geometry.dispose();
    this.geometry.setAttribute("cell", new InstancedBufferAttribute(faces.cells, 4));
    this.geometry.setAttribute("tone", new InstancedBufferAttribute(tones, 4, true));
    this.geometry.setAttribute("sky", new InstancedBufferAttribute(faces.light, 4, true));
    this.geometry.instanceCount = faces.count;
    this.draw();
    return faces.count;
  }

  /** Frustums of the cameras and the way, both in the ego frame. */
  mark(frustums, way, shown) {
    clear(this.cameras);
    clear(this.marks);
    for (const { centre, corners } of shown ? frustums : []) {
      const points = [];
      corners.forEach((corner, i) => points.push(centre, corner, corner, corners[(i + 1) % 4]));
      this.cameras.add(new LineSegments(lines(points), this.trim));
    }
    if (way.length > 1) this.marks.add(new Line(lines(way), this.trim));
    this.draw();
  }

  /** Colours of the page: "#rrggbb". */
  theme({ page, ink, body }) {
    this.renderer.setClearColor(new Color().setStyle(page, LinearSRGBColorSpace));
    this.material.uniforms.page.value.setStyle(page, LinearSRGBColorSpace);
    this.paint.color.setStyle(body, LinearSRGBColorSpace);
    this.trim.color.setStyle(ink, LinearSRGBColorSpace);
    this.box.material.color.setStyle(ink, LinearSRGBColorSpace);
    clear(this.rings);
    const faint = new LineBasicMaterial({ transparent: true, opacity: 0.5 });
    faint.color.setStyle(ink, LinearSRGBColorSpace);
    for (const radius of RINGS) {
      const points = Array.from({ length: 129 }, (_, i) => {
        const angle = (i / 64) * Math.PI;
        return [radius * Math.cos(angle), radius * Math.sin(angle), 0.3];
      });
      this.rings.add(new Line(lines(points), faint));
    }
    this.draw();
  }

  look(where) {
    const [eye, at] = where === "above" ? [[-0.01, 0, 100], [0, 0, 0]] : [EYE, AT];
    const narrow = Math.max(1, 1.1 / this.camera.aspect); // a phone held upright sees less to the sides
    this.camera.position.set(...eye.map((v, k) => at[k] + (v - at[k]) * Math.min(narrow, 1.9)));
    this.controls.target.set(...at);
    this.controls.update();
    this.draw();
  }

  /** The drawn voxel under a point of the canvas (pixels from its upper left corner), [x, y, z] or null. */
  under(x, y) {
    const { clientWidth, clientHeight } = this.renderer.domElement;
    const caster = new Raycaster();
    caster.setFromCamera(new Vector2((2 * x) / clientWidth - 1, 1 - (2 * y) / clientHeight), this.camera);
    const { lower, step, shape } = this.grid, { origin, direction } = caster.ray;
    const found = hit(
      this.drawn, shape,
      origin.toArray().map((v, k) => (v - lower[k]) / step[k]),
      direction.toArray().map((v, k) => (v || 1e-12) / step[k]),
    );
    this.box.visible = found !== null;
    if (found) this.box.position.set(...found.map((v, k) => lower[k] + (v + 0.5) * step[k]));
    this.draw();
    return found;
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.renderer.domElement.parentElement;
    if (!width || !height) return;
    const first = this.sized === undefined;
    this.sized = true;
    this.renderer.setSize(width, height);
    this.camera.aspect = width / height;
    this.camera.updateProjectionMatrix();
    if (first) this.look("home");
    else this.draw();
  }

  draw() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.renderer.render(this.scene, this.camera);
    });
  }
}

function lines(points) {
  return new BufferGeometry().setAttribute("position", new BufferAttribute(new Float32Array(points.flat()), 3));
}

function clear(group) {
  for (const each of group.children) each.geometry.dispose();
  group.clear();
}
