// What the workers of threads.test.mjs do.

import { parentPort, workerData } from "node:worker_threads";

import RedbAdapter, { open } from "authkv";

const { path, id, task, count } = workerData;

const each = (call) => Promise.all(Array.from({ length: count }, (_, place) => call(place)));

/** Calls without end, many at a time. */
async function forever(call) {
    for (let place = 0; ; place += 1) {
        const calls = Array.from({ length: 64 }, (_, part) => call(`${id}-${place}-${part}`));
        if (place === 0) parentPort.postMessage("busy");
        await Promise.all(calls);
    }
}

const TASKS = {
    async create() {
        const adapter = RedbAdapter(path);
        const users = await each((place) => adapter.createUser({ id: `${id}-${place}` }));
        parentPort.postMessage(users.length);
    },
    async take() {
        const { adapter } = await open(path);
        const taken = await each(() => adapter.useVerificationToken({ identifier: "ada", token: "one" }));
        parentPort.postMessage(taken.filter((token) => token !== null).length);
    },
    write() {
        const adapter = RedbAdapter(path);
        return forever((name) => adapter.createUser({ id: name }));
    },
    read() {
        const adapter = RedbAdapter(path);
        return forever((name) => adapter.getUser(name));
    },
    reopen() {
        return forever(async (name) => {
            const store = await open(path);
            await store.adapter.createUser({ id: name });
            await store.close();
        });
    },
};

await TASKS[task]();
