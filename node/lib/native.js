// Loads the addon: the prebuilt one of this platform, if its package is installed, or the one that was built here.

"use strict";

const { version } = require("../package.json");

// The requests are written out so that tools which trace what a server needs can follow them. npm installs the package
// for the right C library only; the addon for the other one would not load.
const PREBUILT = {
    "darwin-arm64": [() => require("authkv-darwin-arm64")],
    "darwin-x64": [() => require("authkv-darwin-x64")],
    "linux-arm64": [() => require("authkv-linux-arm64-gnu"), () => require("authkv-linux-arm64-musl")],
    "linux-x64": [() => require("authkv-linux-x64-gnu"), () => require("authkv-linux-x64-musl")],
    "win32-x64": [() => require("authkv-win32-x64-msvc")],
};

const LOCAL = () => require("../authkv.node");

// Copies of this package in one process, as bundlers make them, share one addon, so that a file which two of them open
// is one store.
const SHARED = Symbol.for(`authkv/${version}`);

function load() {
    const platform = `${process.platform}-${process.arch}`;
    const failures = [];
    for (const load of [...(PREBUILT[platform] ?? []), LOCAL]) {
        try {
            return load();
        } catch (error) {
            failures.push(error);
        }
    }
    const broken = failures.find(({ code }) => code !== "MODULE_NOT_FOUND");
    if (broken)
        throw new Error(`authkv's addon for ${platform} cannot be loaded: ${broken.message}`, { cause: broken });
    throw new Error(
        `authkv has no addon for ${platform}: none is prebuilt, and none was built here; \`npm run build\` in this ` +
            "package's folder builds it, which needs a Rust toolchain",
    );
}

if (!(SHARED in process)) Object.defineProperty(process, SHARED, { value: load() });

module.exports = process[SHARED];
