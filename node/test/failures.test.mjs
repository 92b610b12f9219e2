// What goes wrong outside: too many writes, a disk that is full, a damaged file.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { openSync, readSync, statSync, writeSync, closeSync } from "node:fs";
import { test } from "node:test";
import { promisify } from "node:util";

import { open } from "authkv";

import { freshPath, newToken, onEachStore, packageFolder, race, rejects, times } from "./stores.mjs";

onEachStore("too many writes at once are refused, and all others carried out", async (auth, store) => {
    const call = (place) => auth.createVerificationToken(newToken(`${place}`, "a-secret"));
    const { values, codes } = await race(times(call, 40_000));
    assert.ok(codes.every((code) => code === "BUSY"));
    assert.ok(values.length >= 16_384);
    assert.equal((await store.check()).verificationTokens, values.length);
    await auth.createUser({ id: "ada" });
});

test(
    "on a full disk writes fail, reads go on, and nothing acknowledged is lost",
    { skip: process.platform === "win32" },
    async (t) => {
        const path = freshPath(t);
        const code = `
        import { open } from "authkv";
        const { adapter } = await open(${JSON.stringify(path)});
        const name = "x".repeat(60_000);
        const acknowledged = [];
        for (let place = 0; ; place += 1) {
            try {
                acknowledged.push((await adapter.createUser({ id: "user-" + place, name })).id);
            } catch (error) {
                const found = await Promise.all(acknowledged.map((id) => adapter.getUser(id)));
                const { code, message } = error;
                const read = found.map(({ id }) => id);
                console.log(JSON.stringify({ failed: code, message, acknowledged, read }));
                process.exit();
            }
        }`;
        // In blocks of 512 bytes. The signal would end the process that writes more; without it the write fails.
        const limited = `trap '' XFSZ; ulimit -f 8192; exec "$0" --input-type=module --eval "$1"`;
        const { stdout } = await promisify(execFile)("sh", ["-c", limited, process.execPath, code], {
            cwd: packageFolder,
        });
        const { failed, message, acknowledged, read } = JSON.parse(stdout);
        assert.ok(["STORAGE", "OUTCOME_UNKNOWN"].includes(failed), message);
        assert.match(message, /storage failed/);
        assert.ok(acknowledged.length > 0);
        assert.deepEqual(read, acknowledged);
        const store = await open(path);
        for (const id of acknowledged) assert.equal((await store.adapter.getUser(id)).id, id);
        assert.ok((await store.check()).isSound);
        await store.close();
    },
);

test("damage is reported when a file is opened with verify", async (t) => {
    const path = freshPath(t);
    const store = await open(path);
    await race(times((place) => store.adapter.createUser({ id: `user-${place}`, name: "x".repeat(1_000) }), 500));
    await store.close();
    damage(path);
    await rejects(open(path, { verify: true }), "OPEN_FAILED");
});

/** Changes the name of every user in the file. */
function damage(path) {
    const bytes = Buffer.alloc(statSync(path).size);
    const file = openSync(path, "r+");
    readSync(file, bytes);
    for (let at = bytes.indexOf("xxxx"); at >= 0; at = bytes.indexOf("xxxx", at + 4)) writeSync(file, "y", at);
    closeSync(file);
}
