// Loads the addon: the one that is built here, or the prebuilt one of this platform.

"use strict";

const { platform } = require("./platform.js");
const { version } = require("../package.json");

// Copies of this package in one process, as a bundler makes them, share one addon, so that a file that is opened by
// both is one store.
const shared = Symbol.for(`authkv/${version}`);

function load() {
    const name = platform();
    const failures = [];
    for (const load of [() => require(`authkv-${name}`), () => require(`../authkv.${name}.node`)]) {
        try {
            return load();
        } catch (error) {
            failures.push(error);
        }
    }
    const missing = failures.every(({ code }) => code === "MODULE_NOT_FOUND");
    throw new Error(
        missing
            ? `authkv has no addon for ${name}: there is no package authkv-${name}, and none was built here; build it ` +
                "with `npm run build` in this package's folder, which needs a Rust toolchain"
            : `authkv's addon for ${name} cannot be loaded`,
        { cause: failures.find(({ code }) => code !== "MODULE_NOT_FOUND") ?? failures[0] },
    );
}

module.exports = process[shared] ?? load();
if (!(shared in process)) Object.defineProperty(process, shared, { value: module.exports });
