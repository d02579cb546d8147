// Makes the files that a browser loads: `node .ci/site.mjs COMPILED.wasm`. The result lies in target/site: everything is
// named after its content, and lies there compressed as brotli and gzip, too. A manifest tells the server the names.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { build } from "esbuild";

const root = new URL("..", import.meta.url).pathname;
const work = join(root, "target/setup/site");
const fresh = join(root, "target/site.new");
const site = join(root, "target/site");
// What every browser of the last three years understands.
const target = ["chrome120", "firefox121", "safari17.2"];

const compiled = process.argv[2];
if (!compiled) throw new Error("usage: node .ci/site.mjs COMPILED.wasm");

rmSync(work, { recursive: true, force: true });
rmSync(fresh, { recursive: true, force: true });
mkdirSync(work, { recursive: true });
mkdirSync(join(fresh, "pkg"), { recursive: true });

execFileSync(join(root, "target/setup/bin/bindgen"), [compiled, work, "quittance"], { stdio: "inherit" });
const features = ["bulk-memory", "multivalue", "mutable-globals", "nontrapping-float-to-int", "reference-types", "sign-ext"];
const optimised = join(work, "optimised.wasm");
execFileSync(
    join(root, ".ci/node_modules/.bin/wasm-opt"),
    ["-Oz", "--strip-debug", "--strip-producers", ...features.map((name) => `--enable-${name}`), join(work, "quittance_bg.wasm"), "-o", optimised],
    { stdio: "inherit" },
);

const bundle = async (entry, options) => {
    const result = await build({ entryPoints: [entry], bundle: true, minify: true, write: false, target, logLevel: "warning", ...options });
    return Buffer.from(result.outputFiles[0].contents);
};
const script = await bundle(join(work, "quittance.js"), { format: "esm" });
const style = await bundle(join(root, "style/main.css"), {});
const wasm = readFileSync(optimised);

const hash = (...parts) => {
    const digest = createHash("sha256");
    for (const part of parts) digest.update(part);
    return digest.digest("hex").slice(0, 12);
};
const sizes = [];
const put = (name, content) => {
    const path = join(fresh, "pkg", name);
    const brotli = brotliCompressSync(content, { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: content.length } });
    writeFileSync(path, content);
    writeFileSync(`${path}.br`, brotli);
    writeFileSync(`${path}.gz`, gzipSync(content, { level: 9 }));
    sizes.push([name, content.length, brotli.length]);
    return name;
};
const publicFile = (name) => {
    const content = readFileSync(join(root, "public", name));
    const dot = name.lastIndexOf(".");
    return put(`${name.slice(0, dot)}-${hash(content)}${name.slice(dot)}`, content);
};

// The script and its WebAssembly are one thing: they share a name, which the page's loader derives both from.
const name = `quittance-${hash(script, wasm)}`;
put(`${name}.js`, script);
put(`${name}_bg.wasm`, wasm);
const manifest = {
    script: name,
    style: put(`style-${hash(style)}.css`, style),
    icons: publicFile("icons.svg"),
    favicon: publicFile("favicon.svg"),
};
writeFileSync(join(fresh, "manifest.json"), JSON.stringify(manifest));
// One step from the old files to the new: a server that reads them meanwhile sees either.
rmSync(site, { recursive: true, force: true });
renameSync(fresh, site);

for (const [file, plain, packed] of sizes) console.error(`    ${file.padEnd(40)} ${(plain / 1000).toFixed(1).padStart(8)} kB ${(packed / 1000).toFixed(1).padStart(8)} kB brotli`);
