// Builds the addon for this computer and puts it beside its loader: `npm run build`. It needs a Rust toolchain.
// Tests run on a release build too: an unoptimised one builds sooner, and the tests of memory then take that much longer.

import { execFileSync } from "node:child_process";
import { copyFileSync, renameSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const folder = dirname(dirname(fileURLToPath(import.meta.url)));

/** Compiles the addon, for a Rust target if one is named, and says where cargo put it. */
export function compile(target) {
    const args = ["build", "--release", "--locked", "-p", "authkv-node", "--message-format=json-render-diagnostics"];
    if (target) args.push("--target", target);
    let output;
    try {
        const stdio = ["ignore", "pipe", "inherit"];
        output = execFileSync("cargo", args, { cwd: folder, stdio, encoding: "utf8", maxBuffer: 1 << 28 });
    } catch (error) {
        if (error.code !== "ENOENT") throw error;
        console.error("npm run build needs a Rust toolchain (1.90 or newer): https://rustup.rs");
        process.exit(1);
    }
    const messages = output
        .split("\n")
        .filter(Boolean)
        .map((line) => JSON.parse(line));
    const library = messages.find(({ target }) => target?.name === "authkv_node" && target.kind.includes("cdylib"));
    return library.filenames.find((name) => /\.(so|dylib|dll)$/.test(name));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
    const addon = join(folder, "authkv.node");
    // Renamed into place: a process may have the old one loaded.
    copyFileSync(compile(), `${addon}.new`);
    renameSync(`${addon}.new`, addon);
    console.log(`built ${addon}`);
}
