// The end of the process: what was acknowledged is in the file, whatever it was doing.

import assert from "node:assert/strict";
import { test } from "node:test";

import { open } from "authkv";

import { freshPath, inChild } from "./stores.mjs";

/** Writes without end, and says at once what is acknowledged. */
const WRITING = `
    import { writeSync } from "node:fs";
    const { createUser, updateUser, createSession } = RedbAdapter(path);
    async function write(name) {
        await createUser({ id: name, email: name + "@example.com" });
        await createSession({ sessionToken: name, userId: name, expires: new Date(Date.now() + 60_000) });
        const { mark } = await updateUser({ id: name, mark: name });
        writeSync(1, mark + "\\n");
    }
    const writing = (part) => Array.from({ length: 32 }, (_, place) => write(process.pid + "-" + part + "-" + place));
    (async () => { for (let part = 0; ; part += 1) await Promise.all(writing(part)); })();
`;

const ENDINGS = {
    "process.exit": "process.exit(0)",
    "process.exit in another turn": "setImmediate(() => process.exit(0))",
    "an uncaught error": 'process.stderr.write = () => true; throw new Error("uncaught")',
    SIGKILL: 'process.kill(process.pid, "SIGKILL")',
};

for (const [name, ending] of Object.entries(ENDINGS)) {
    test(`${name} in the middle of writes loses nothing acknowledged`, async (t) => {
        const path = freshPath(t);
        let acknowledged = [];
        // A busy computer may need longer than five rounds until anything is acknowledged.
        for (let round = 0; round < 5 || (acknowledged.length === 0 && round < 100); round += 1) {
            const code = `${WRITING} setTimeout(() => { ${ending} }, ${20 + round * 15});`;
            const { stdout, code: status } = await inChild(code, path).catch((error) => error);
            if (ending.includes("exit")) assert.equal(status, undefined);
            acknowledged = acknowledged.concat(stdout.split("\n").slice(0, -1));
        }
        assert.ok(acknowledged.length > 0);
        const store = await open(path);
        for (const name of acknowledged) {
            const found = await store.adapter.getSessionAndUser(name);
            assert.deepEqual(found.user, { id: name, email: `${name}@example.com`, mark: name });
        }
        const { isSound, problems } = await store.check();
        assert.ok(isSound, problems.join("\n"));
        await store.close();
    });
}

test("a process stays until its calls are answered, and no longer", async (t) => {
    const path = freshPath(t);
    const started = Date.now();
    const { stdout } = await inChild(
        `const { createUser } = RedbAdapter(path);
        for (let place = 0; place < 100; place += 1) {
            createUser({ id: "user-" + place }).then((user) => console.log(user.id));
        }`,
        path,
    );
    assert.equal(stdout.split("\n").length - 1, 100);
    const idle = await inChild(
        "RedbAdapter(path); const store = await open(path); console.log((await store.check()).users);",
        path,
    );
    assert.equal(idle.stdout, "100\n");
    assert.ok(Date.now() - started < 60_000);
});

test("a process ends while it opens, checks and closes", async (t) => {
    const path = freshPath(t);
    for (const code of [
        "open(path); process.exit(0)",
        "const store = await open(path); store.check(); process.exit(0)",
        "const store = await open(path); store.adapter.createUser({}); store.close(); process.exit(0)",
        "const store = await open(path); store.close(); setImmediate(() => process.exit(0))",
    ]) {
        await inChild(code, path);
    }
    const store = await open(path);
    const { isSound } = await store.check();
    assert.ok(isSound);
    await store.close();
});
