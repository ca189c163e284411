// The page: what is shown, and everything one can press.

import { Stage } from "./stage.js";
import { NOTHING, RIGHT, countsOf, differences, volumesOf } from "./volume.js";

const $ = (id) => document.getElementById(id);
const meta = JSON.parse($("meta").textContent);
const { classes, kinds, grid, frames } = meta;
const free = classes.length;
const NAMES = { labels: meta.labels, truth: "Truth", difference: "Difference", instances: "Instances" };
const state = { frame: 0, layer: "labels", safe: false, light: false, cameras: true, playing: 0, faces: 0, ready: false };
const hidden = { class: new Set(), kind: new Set(["right"]) };
let shown = { volumes: null, values: null };
let request = 0;

const stage = new Stage($("canvas"), grid);

const hasLayer = (frame, layer) => (layer === "difference" ? frame.volumes.includes("truth") : frame.volumes.includes(layer));
const layers = Object.keys(NAMES).filter((layer) => frames.some((frame) => hasLayer(frame, layer)));
const rowsOf = () => (state.layer === "difference" ? { kind: "kind", rows: kinds } : { kind: "class", rows: classes });
const colourOf = (row) => (state.safe ? row.safe : row.colour);
const css = ([r, g, b]) => `rgb(${r} ${g} ${b})`;

function make(tag, props = {}, ...children) {
  const element = Object.assign(document.createElement(tag), props);
  element.append(...children);
  return element;
}

/** Show the frame and layer that `state` names; what was asked for last wins. */
async function show() {
  const mine = ++request, frame = frames[state.frame];
  const volumes = await volumesOf(state.frame, frame);
  if (mine !== request) return;
  if (!hasLayer(frame, state.layer)) state.layer = "labels";
  const values = state.layer === "difference" ? differences(volumes, free) : volumes[state.layer === "truth" ? "truth" : "labels"];
  shown = { volumes, values };
  paint();
  panel();
  header();
  strip();
  stage.mark(frame.cameras, wayTo(state.frame), state.cameras);
  tooltip(null);
}

/** Colour of an instance: hues of ids that follow each other are far apart. */
function ofInstance(id) {
  const hue = (id * 0.618033988749895) % 1;
  return [0, 2 / 3, 1 / 3].map((shift) => {
    const v = Math.abs((((hue + shift) % 1) * 6) - 3) - 1;
    return Math.round(255 * (0.25 + 0.75 * Math.min(1, Math.max(0, v))));
  });
}

function paint() {
  const { kind, rows } = rowsOf(), { values, volumes } = shown;
  const size = rows.length, on = rows.map((row) => !hidden[kind].has(row.name));
  const drawn = new Uint8Array(values.length), table = rows.map(colourOf);
  for (let i = 0; i < values.length; i++) drawn[i] = values[i] < size && on[values[i]] ? 1 : 0;
  const ids = state.layer === "instances" ? volumes.instances : null;
  const rest = state.light ? [170, 174, 182] : [74, 78, 88];
  state.faces = stage.show(drawn, ids ? (i) => (ids[i] ? ofInstance(ids[i]) : rest) : (i) => table[values[i]]);
  state.ready = true;
}

function panel() {
  const { kind, rows } = rowsOf(), counts = countsOf(shown.values, rows.length);
  let group = null;
  const items = [];
  rows.forEach((row, i) => {
    if (!counts[i] && kind === "class") return;
    if (row.group !== group) items.push(make("h2", { textContent: (group = row.group) }));
    const box = make("input", { type: "checkbox", checked: !hidden[kind].has(row.name) });
    box.addEventListener("change", () => toggle(kind, row.name, box.checked));
    const swatch = make("i");
    swatch.style.background = css(colourOf(row));
    const label = make("label", {}, box, swatch, make("span", { textContent: row.name.replaceAll("_", " ") }), make("b", { textContent: counts[i].toLocaleString("en") }));
    label.dataset.name = row.name;
    items.push(label);
  });
  $("rows").replaceChildren(...items);
}

function toggle(kind, name, on) {
  if (on) hidden[kind].delete(name);
  else hidden[kind].add(name);
  paint();
}

function all() {
  const { kind, rows } = rowsOf();
  const some = hidden[kind].size > 0;
  hidden[kind] = new Set(some ? [] : rows.map((row) => row.name));
  paint();
  panel();
}

function header() {
  const frame = frames[state.frame];
  $("frame").textContent = [frame.scene, frame.name].filter(Boolean).join(" / ");
  $("frame").title = $("frame").textContent;
  const first = frames.find((other) => other.scene === frame.scene && other.time !== null); // the clock starts there
  const told = [frame.time === null ? "" : `${(frame.time - first.time).toFixed(2)} s`, frame.miou === null ? "" : `mIoU ${(100 * frame.miou).toFixed(1)} %`];
  $("facts").textContent = told.filter(Boolean).join("   ");
  $("count").textContent = `${state.frame + 1} / ${frames.length}`;
  $("slider").value = state.frame;
  for (const button of $("layers").children) {
    button.disabled = !hasLayer(frame, button.dataset.layer);
    button.setAttribute("aria-pressed", button.dataset.layer === state.layer);
  }
  $("events").textContent = frame.events.join("\n");
  $("events").hidden = !frame.events.length;
}

function strip() {
  const frame = frames[state.frame];
  frame.images.forEach((name, k) => {
    const figure = $("images").children[k] ?? $("images").appendChild(make("figure", {}, make("img"), make("figcaption")));
    figure.firstChild.src = `data:image/jpeg;base64,${$(`image-${state.frame}-${k}`).textContent}`;
    figure.firstChild.alt = figure.lastChild.textContent = name;
  });
  while ($("images").children.length > frame.images.length) $("images").lastChild.remove();
  $("images").classList.toggle("none", !frame.images.length);
}

/** Where the vehicle was in the frames of this scene up to now, seen from now. */
function wayTo(index) {
  const { scene, pose } = frames[index];
  if (!pose) return [];
  const way = [];
  for (const frame of frames.slice(0, index + 1)) {
    if (frame.scene !== scene || !frame.pose) continue;
    const d = [3, 7, 11].map((k) => frame.pose[k] - pose[k]);
    way.push([0, 1, 2].map((k) => d[0] * pose[k] + d[1] * pose[4 + k] + d[2] * pose[8 + k] + (k === 2 ? 0.1 : 0)));
  }
  return way;
}

function tooltip(event) {
  const tip = $("tip");
  const cell = event && shown.values ? stage.under(event.offsetX, event.offsetY) : null;
  tip.hidden = !cell;
  if (!cell) return void (stage.box.visible && ((stage.box.visible = false), stage.draw()));
  const i = (cell[0] * grid.shape[1] + cell[1]) * grid.shape[2] + cell[2];
  const at = cell.map((v, k) => grid.lower[k] + (v + 0.5) * grid.step[k]);
  const name = (label) => (label === free ? "free" : classes[label].name.replaceAll("_", " "));
  const { labels, truth, mask, instances } = shown.volumes;
  const told = [name((state.layer === "truth" ? truth : labels)[i])];
  if (truth && (state.layer === "difference" || truth[i] !== labels[i])) {
    told[0] = `${meta.labels.toLowerCase()}: ${name(labels[i])}, truth: ${name(truth[i])}`;
    if (mask && !mask[i]) told.push("not seen by a camera: does not count");
  }
  if (instances?.[i]) told.push(`instance ${instances[i]}`);
  told.push(`x ${at[0].toFixed(1)}, y ${at[1].toFixed(1)} m; ${at[2].toFixed(1)} m high`);
  tip.replaceChildren(...told.map((line) => make("div", { textContent: line })));
  const wide = $("stage").clientWidth;
  tip.style.left = `${Math.min(event.offsetX + 14, Math.max(0, wide - tip.offsetWidth - 8))}px`;
  tip.style.top = `${Math.max(8, event.offsetY - tip.offsetHeight - 10)}px`;
}

function go(index) {
  state.frame = (index + frames.length) % frames.length;
  return show();
}

function play(on = !state.playing) {
  clearTimeout(state.playing);
  state.playing = 0;
  $("play").textContent = on ? "Pause" : "Play";
  if (!on) return;
  const next = async () => {
    await go(state.frame + 1);
    if (state.playing) state.playing = setTimeout(next, 500);
  };
  state.playing = setTimeout(next, 500);
}

function layer(name) {
  if (!hasLayer(frames[state.frame], name)) return;
  state.layer = name;
  return show();
}

function theme(light) {
  state.light = light;
  document.documentElement.dataset.theme = light ? "light" : "dark";
  const style = getComputedStyle(document.documentElement), of = (name) => style.getPropertyValue(name).trim();
  stage.theme({ page: of("--page"), ink: of("--ink"), body: of("--body") });
  if (shown.values) paint();
}

function palette(safe = !state.safe) {
  state.safe = safe;
  $("palette").setAttribute("aria-pressed", safe);
  if (shown.values) {
    paint();
    panel();
  }
}

function cameras() {
  state.cameras = !state.cameras;
  $("cameras").setAttribute("aria-pressed", state.cameras);
  stage.mark(frames[state.frame].cameras, wayTo(state.frame), state.cameras);
}

const help = () => ($("help").open ? $("help").close() : $("help").showModal());
const KEYS = {
  ArrowLeft: () => go(state.frame - 1), ArrowRight: () => go(state.frame + 1), " ": () => frames.length > 1 && play(),
  h: () => stage.look("home"), t: () => stage.look("above"), c: () => palette(), d: () => theme(!state.light),
  f: cameras, a: all, "?": help,
  ...Object.fromEntries(layers.map((name, k) => [`${k + 1}`, () => layer(name)])),
};

function wire() {
  document.title = $("title").textContent = meta.title;
  for (const [k, name] of layers.entries()) {
    const button = make("button", { textContent: NAMES[name], title: `key ${k + 1}` });
    button.dataset.layer = name;
    button.addEventListener("click", () => layer(name));
    $("layers").append(button);
  }
  $("layers").hidden = layers.length < 2;
  $("slider").max = frames.length - 1;
  $("bar").hidden = frames.length < 2;
  $("slider").addEventListener("input", () => go(Number($("slider").value)));
  const press = {
    play: () => play(), home: () => stage.look("home"), above: () => stage.look("above"), palette: () => palette(), cameras, all,
    theme: () => theme(!state.light), ask: help, close: help, more: () => $("panel").classList.toggle("open"),
  };
  for (const [id, run] of Object.entries(press)) $(id).addEventListener("click", run);
  $("cameras").hidden = frames.every((frame) => !frame.cameras.length);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.closest?.("input, button") && event.key !== "?";
    if (typing && (event.key === " " || event.key.startsWith("Arrow"))) return; // they have a meaning there
    const run = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (run) {
      event.preventDefault();
      run();
    }
  });
  let last = null;
  $("canvas").addEventListener("pointermove", (event) => {
    const first = last === null;
    last = event.buttons ? null : event;
    if (event.buttons) tooltip(null);
    else if (first) requestAnimationFrame(() => (tooltip(last), (last = null)));
  });
  $("canvas").addEventListener("pointerleave", () => tooltip(null));
  $("canvas").addEventListener("click", (event) => tooltip(event));
}

wire();
theme(matchMedia("(prefers-color-scheme: light)").matches);
palette(false);
$("cameras").setAttribute("aria-pressed", true);
window.viewer = { state, stage, go, layer, toggle, palette, theme, hidden, values: () => shown.values, NOTHING, RIGHT };
show();
