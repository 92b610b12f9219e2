// The package as npm packs it: all that its user needs, nothing else, and in step with the crate.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { test } from "node:test";

import { packageFolder } from "./stores.mjs";

const textOf = (...path) => readFileSync(join(packageFolder, ...path), "utf8");
const manifest = JSON.parse(textOf("package.json"));

/** What cargo knows of a crate of this repository. */
function crate(wanted) {
    const output = run("cargo", "metadata", "--format-version", "1", "--no-deps", "--locked");
    return JSON.parse(output).packages.find(({ name }) => name === wanted);
}

/** The paths in the package that `npm pack` would make. */
function packed() {
    const [{ files }] = JSON.parse(run("npm", "pack", "--dry-run", "--json", "--ignore-scripts"));
    return files.map(({ path }) => path).sort();
}

/** What a command prints. */
function run(command, ...args) {
    const options = { cwd: packageFolder, encoding: "utf8", maxBuffer: 1 << 28, shell: process.platform === "win32" };
    const { status, stdout, stderr, error } = spawnSync(command, args, options);
    assert.equal(status, 0, `${command}: ${error ?? stderr}`);
    return stdout;
}

/** The entry points, and what they request from each other, over any number of files. */
function requested() {
    const found = new Set();
    const waiting = targetsOf(manifest.exports).map((target) => posix.normalize(target));
    for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
        if (found.has(path)) continue;
        found.add(path);
        if (!/\.m?[jt]s$/.test(path)) continue;
        for (const [, request] of textOf(path).matchAll(/(?:require\(|from )"(\.[^"]*)"/g)) {
            waiting.push(fileOf(posix.join(posix.dirname(path), request), path));
        }
    }
    return [...found].sort();
}

function targetsOf(exported) {
    return typeof exported === "string" ? [exported] : Object.values(exported).flatMap(targetsOf);
}

/** What is requested from a declaration is a declaration. */
function fileOf(path, from) {
    return /\.d\.m?ts$/.test(from) ? path.replace(/(\.js)?$/, ".d.ts") : path;
}

test("the package has the version of the crate", () => {
    const lock = JSON.parse(textOf("package-lock.json"));
    const versions = [crate("authkv"), crate("authkv-node"), lock, lock.packages[""]].map(({ version }) => version);
    assert.deepEqual(versions, Array(4).fill(manifest.version));
});

test("the package has the licence of the crate", () => {
    assert.equal(manifest.license, crate("authkv").license);
    for (const name of ["LICENSE-APACHE", "LICENSE-MIT"]) assert.equal(textOf(name), textOf("..", name), name);
});

test("all that the manifest says is in the package is there", () => {
    for (const name of manifest.files) assert.ok(existsSync(join(packageFolder, name)), `${name} is there`);
});

test("what is requested is in the package, and nothing else but its papers", () => {
    const files = requested();
    assert.ok(files.includes("lib/adapter.js") && files.includes("authkv.node") && files.includes("types.d.ts"));
    assert.deepEqual(packed(), [...files, "LICENSE-APACHE", "LICENSE-MIT", "README.md"].sort());
});
