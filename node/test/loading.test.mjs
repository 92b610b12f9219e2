// Loading the addon: a prebuilt package of the platform, or the one that was built here.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

import { packageFolder } from "./stores.mjs";

const { files } = JSON.parse(readFileSync(join(packageFolder, "package.json"), "utf8"));

const PLATFORM = `${process.platform}-${process.arch}`;
const PREBUILT = { linux: `authkv-${PLATFORM}-gnu`, darwin: `authkv-${PLATFORM}`, win32: `authkv-${PLATFORM}-msvc` };
const prebuilt = PREBUILT[process.platform];

/** A folder with this package in its node_modules, as npm publishes it: without an addon. */
function application(t) {
    const folder = mkdtempSync(join(tmpdir(), "authkv-"));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const authkv = join(folder, "node_modules", "authkv");
    mkdirSync(authkv, { recursive: true });
    for (const name of ["package.json", ...files.filter((name) => name !== "authkv.node")])
        cpSync(join(packageFolder, name), join(authkv, name), { recursive: true });
    return folder;
}

/** What the application says, which makes a user in memory. */
function run(folder) {
    const code =
        'import RedbAdapter from "authkv"; console.log((await RedbAdapter.inMemory().createUser({ id: "ada" })).id)';
    const running = promisify(execFile)(process.execPath, ["--input-type=module", "--eval", code], { cwd: folder });
    return running.then(
        ({ stdout }) => stdout,
        ({ stderr }) => stderr,
    );
}

function installPrebuilt(folder, addon) {
    const target = join(folder, "node_modules", prebuilt);
    mkdirSync(target);
    writeFileSync(join(target, "package.json"), JSON.stringify({ name: prebuilt, main: "authkv.node" }));
    addon(join(target, "authkv.node"));
}

test("the addon that was built here is loaded", async (t) => {
    const folder = application(t);
    copyFileSync(join(packageFolder, "authkv.node"), join(folder, "node_modules", "authkv", "authkv.node"));
    assert.equal(await run(folder), "ada\n");
});

test("the prebuilt addon of the platform is loaded", async (t) => {
    const folder = application(t);
    installPrebuilt(folder, (path) => copyFileSync(join(packageFolder, "authkv.node"), path));
    assert.equal(await run(folder), "ada\n");
});

test("without an addon the error says how to get one", async (t) => {
    assert.match(await run(application(t)), new RegExp(`authkv has no addon for ${PLATFORM}.*npm run build.*Rust`));
});

test("an addon that cannot be loaded is named", async (t) => {
    const folder = application(t);
    installPrebuilt(folder, (path) => writeFileSync(path, "this is no addon"));
    assert.match(await run(folder), new RegExp(`addon for ${PLATFORM} cannot be loaded: .*${prebuilt}`));
});
