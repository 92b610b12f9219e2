// Worker threads: they share the store of a file, and may be terminated at any time.

import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { Worker } from "node:worker_threads";

import { open } from "authkv";

import { freshPath, inChild, newUser } from "./stores.mjs";

const SOURCE = new URL("./busy_worker.mjs", import.meta.url);

const worker = (workerData) => new Worker(SOURCE, { workerData });

/** What a worker that ends by itself says. */
async function result(workerData) {
    const busy = worker(workerData);
    const [[said]] = await Promise.all([once(busy, "message"), once(busy, "exit")]);
    return said;
}

test("workers and the main thread share the store of a file", async (t) => {
    const path = freshPath(t);
    const store = await open(path);
    const working = [0, 1, 2, 3].map((id) => result({ path, id, task: "create", count: 100 }));
    const mine = Promise.all(
        Array.from({ length: 100 }, (_, place) => store.adapter.createUser(newUser(`main-${place}`))),
    );
    assert.deepEqual(await Promise.all(working), [100, 100, 100, 100]);
    await mine;
    assert.equal((await store.check()).users, 500);
    await store.close();
    await inChild("await (await open(path)).close()", path);
});

test("of many workers one takes a token", async (t) => {
    const path = freshPath(t);
    const store = await open(path);
    await store.adapter.createVerificationToken({
        identifier: "ada",
        token: "one",
        expires: new Date(Date.now() + 60_000),
    });
    const taken = await Promise.all([0, 1, 2, 3].map((id) => result({ path, id, task: "take", count: 32 })));
    assert.equal(
        taken.reduce((sum, count) => sum + count),
        1,
    );
    await store.close();
});

test("a worker that opened a file alone closes it when it ends", async (t) => {
    const path = freshPath(t);
    assert.equal(await result({ path, id: 0, task: "create", count: 10 }), 10);
    await inChild(
        "const store = await open(path); if ((await store.check()).users !== 10) throw 1; await store.close()",
        path,
    );
});

test("workers are terminated in the middle of writes, reads, opening and closing", async (t) => {
    const path = freshPath(t);
    const store = await open(path);
    for (let round = 0; round < 24; round += 1) {
        const busy = ["write", "read", "reopen", "write"].map((task, id) =>
            worker({ path, id: `${round}-${id}`, task }),
        );
        await Promise.all(busy.map((worker) => once(worker, "message")));
        await new Promise((resolve) => setTimeout(resolve, round));
        await Promise.all(busy.map((worker) => worker.terminate()));
        await store.adapter.createUser(newUser(`round-${round}`));
    }
    const { isSound, problems } = await store.check();
    assert.ok(isSound, problems.join("\n"));
    await store.close();
    await inChild("await (await open(path)).close()", path);
});

test("a worker is terminated that has the file open alone", async (t) => {
    const path = freshPath(t);
    for (let round = 0; round < 12; round += 1) {
        const busy = worker({ path, id: `${round}`, task: "write" });
        await once(busy, "message");
        await new Promise((resolve) => setTimeout(resolve, round));
        await busy.terminate();
        const store = await open(path);
        const { isSound, problems } = await store.check();
        assert.ok(isSound, problems.join("\n"));
        await store.close();
    }
});
