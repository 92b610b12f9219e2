// Makes the npm package with the addon for one platform, ready to be published:
// `npm run prebuild-package -- linux-x64-gnu`.

import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { compile } from "./build.mjs";

/** The platforms, as napi-rs packages spell them, and what Rust calls them. */
const TARGETS = {
    "darwin-arm64": "aarch64-apple-darwin",
    "darwin-x64": "x86_64-apple-darwin",
    "linux-arm64-gnu": "aarch64-unknown-linux-gnu",
    "linux-arm64-musl": "aarch64-unknown-linux-musl",
    "linux-x64-gnu": "x86_64-unknown-linux-gnu",
    "linux-x64-musl": "x86_64-unknown-linux-musl",
    "win32-x64-msvc": "x86_64-pc-windows-msvc",
};

const platform = process.argv[2];
if (!(platform in TARGETS)) {
    console.error(`usage: npm run prebuild-package -- PLATFORM, one of ${Object.keys(TARGETS).join(", ")}`);
    process.exit(2);
}

const folder = dirname(dirname(fileURLToPath(import.meta.url)));
const { version, license, engines } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
const [os, cpu, abi] = platform.split("-");
const name = `authkv-${platform}`;
const out = join(folder, "npm", name);
const description = `The addon of authkv for ${platform}`;
const libc = { gnu: ["glibc"], musl: ["musl"] }[abi];
const main = "authkv.node";

mkdirSync(out, { recursive: true });
copyFileSync(compile(TARGETS[platform]), join(out, main));
const manifest = { name, version, description, license, engines, main, files: [main], os: [os], cpu: [cpu], libc };
writeFileSync(join(out, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
console.log(`made ${out}`);
