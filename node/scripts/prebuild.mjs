// Makes the npm package with the addon for one platform, ready to be published, in the folder `npm`:
// `npm run prebuild-package -- linux-x64-gnu`. Without a platform it is for this computer. With `--addon FILE` it takes
// an addon that is compiled already, and with `--out FOLDER` it makes the package elsewhere.

import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

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

const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { addon: { type: "string" }, out: { type: "string" } },
});
const platform = positionals[0] ?? thisPlatform();
if (!Object.hasOwn(TARGETS, platform)) {
    console.error(`usage: npm run prebuild-package -- PLATFORM, one of ${Object.keys(TARGETS).join(", ")}`);
    process.exit(2);
}

const folder = dirname(dirname(fileURLToPath(import.meta.url)));
const { version, license, engines } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
const [os, cpu, abi] = platform.split("-");
const name = `authkv-${platform}`;
const out = values.out ?? join(folder, "npm", name);
const description = `The addon of authkv for ${platform}`;
const libc = { gnu: ["glibc"], musl: ["musl"] }[abi];
const main = "authkv.node";
const licenses = ["LICENSE-APACHE", "LICENSE-MIT"];
const files = [...licenses, main];

mkdirSync(out, { recursive: true });
copyFileSync(values.addon ?? compile(TARGETS[platform]), join(out, main));
for (const text of licenses) copyFileSync(join(folder, text), join(out, text));
const manifest = { name, version, description, license, engines, main, files, os: [os], cpu: [cpu], libc };
writeFileSync(join(out, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
writeFileSync(join(out, "README.md"), `# ${name}\n\n${description}.\n`);
console.log(`made ${out}`);

function thisPlatform() {
    const { platform, arch } = process;
    if (platform === "win32") return `win32-${arch}-msvc`;
    if (platform !== "linux") return `${platform}-${arch}`;
    return `linux-${arch}-${process.report.getReport().header.glibcVersionRuntime ? "gnu" : "musl"}`;
}
