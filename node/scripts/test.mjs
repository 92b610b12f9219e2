// Runs all tests: `npm test`, or `npm test -- test/users.test.mjs` for some of them.

import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const folder = dirname(dirname(fileURLToPath(import.meta.url)));

function testsIn(path) {
    const names = readdirSync(join(folder, path), { recursive: true }).sort();
    return names
        .filter((name) => name.endsWith(".test.mjs") && !name.includes("node_modules"))
        .map((name) => join(path, name));
}

function run(...args) {
    const { status } = spawnSync(process.execPath, args, { cwd: folder, stdio: "inherit" });
    if (status !== 0) process.exit(status ?? 1);
}

const chosen = process.argv.slice(2);
run("--expose-gc", "--test", "--test-reporter=spec", ...(chosen.length > 0 ? chosen : testsIn("test")));
if (chosen.length === 0) run("node_modules/typescript/bin/tsc", "--project", "test/types");
