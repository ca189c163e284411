// Bundles src/ and three.js into one script, headed by the licence of three.js and a hash of what it was made of.
import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { build } from "esbuild";

const sources = [...readdirSync("src").sort().map((name) => `src/${name}`), "package.json"];
const hash = createHash("sha256");
for (const path of sources) hash.update(readFileSync(path));
const { version } = JSON.parse(readFileSync("node_modules/three/package.json"));
const licence = readFileSync("node_modules/three/LICENSE", "utf8").trim().replaceAll("*/", "* /");

await build({
  entryPoints: ["src/main.js"],
  outfile: "../../src/occvino/viz/html/viewer.js",
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2022",
  legalComments: "none",
  charset: "utf8",
  banner: { js: `/* Made by tools/viewer/build.mjs of sources ${hash.digest("hex")} with three.js ${version}.\n\n${licence} */` },
});
