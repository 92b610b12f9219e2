// Builds the addon for this computer and puts it beside the loader: `npm run build`. It needs a Rust toolchain.

import { execFileSync } from "node:child_process";
import { copyFileSync, renameSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const folder = dirname(dirname(fileURLToPath(import.meta.url)));
const { platform } = createRequire(import.meta.url)("../lib/platform.js");

/** Where cargo put the library. */
export function compile() {
    const args = ["build", "--release", "--locked", "-p", "authkv-node", "--message-format=json-render-diagnostics"];
    const stdio = ["ignore", "pipe", "inherit"];
    const output = execFileSync("cargo", args, { cwd: folder, stdio, encoding: "utf8", maxBuffer: 1 << 28 });
    const messages = output.split("\n").filter(Boolean).map((line) => JSON.parse(line));
    const built = messages.find(({ reason, target }) => reason === "compiler-artifact" && target.name === "authkv_node");
    return built.filenames.find((name) => /\.(so|dylib|dll)$/.test(name));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
    const addon = join(folder, `authkv.${platform()}.node`);
    // Never overwritten in place: a process may have it loaded.
    copyFileSync(compile(), `${addon}.new`);
    renameSync(`${addon}.new`, addon);
    console.log(`built ${addon}`);
}
