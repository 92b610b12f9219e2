// Memory: 100,000 calls of every kind, and stores that are opened and closed, leave the heap and the process as large
// as they were.

import assert from "node:assert/strict";
import { test } from "node:test";

import RedbAdapter, { open } from "authkv";

import { freshPath, newAccount, newAuthenticator, newSession, newToken } from "./stores.mjs";

const MIB = 1 << 20;
/** What the heap and the process may grow by, in bytes: a leak of a hundred bytes for each call is 10 MiB. */
const HEAP_GROWTH_MAX = 2 * MIB;
const RSS_GROWTH_MAX = 8 * MIB;
/** Caches and the allocator fill up at first; a leak goes on. */
const ROUNDS_MAX = 8;

/** Sizes when nothing is left to collect. */
async function sizes() {
    for (let turns = 0; turns < 4; turns += 1) {
        gc();
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const { heapUsed, external, rss } = process.memoryUsage();
    return { heap: heapUsed + external, rss };
}

/** Does the work again until it leaves the sizes as they were. */
async function mustBecomeFlat(t, work) {
    for (let round = 1; ; round += 1) {
        const before = await sizes();
        await work();
        const after = await sizes();
        const [heap, rss] = [after.heap - before.heap, after.rss - before.rss];
        t.diagnostic(`the heap grew by ${(heap / MIB).toFixed(1)} MiB, the process by ${(rss / MIB).toFixed(1)} MiB`);
        if (heap < HEAP_GROWTH_MAX && rss < RSS_GROWTH_MAX) return;
        assert.ok(round < ROUNDS_MAX, "it grows on and on");
    }
}

/** A life of a user: 20 calls, of which some fail, and which leave nothing. */
async function life(auth, name) {
    const refused = (call) => call.then(assert.fail, () => {});
    await auth.createUser({ id: name, email: `${name}@example.com`, born: new Date(0), tags: ["a", { b: 1 }] });
    await refused(auth.createUser({ email: `${name}@example.com` }));
    await refused(auth.createUser({ own: () => {} }));
    await auth.linkAccount(newAccount(name, name));
    await auth.createSession(newSession(name, name));
    for (let reads = 0; reads < 4; reads += 1) await auth.getSessionAndUser(name);
    await auth.updateUser({ id: name, name: "Ada" });
    await auth.updateSession({ sessionToken: name, expires: new Date(Date.now() + 60_000) });
    await auth.createVerificationToken(newToken(name, name));
    await auth.useVerificationToken({ identifier: name, token: name });
    await auth.createAuthenticator(newAuthenticator(name, name));
    await auth.updateAuthenticatorCounter(name, 1);
    await auth.listAuthenticatorsByUserId(name);
    await auth.getUserByEmail(`${name}@example.com`);
    await auth.deleteSession(name);
    await auth.unlinkAccount({ provider: "github", providerAccountId: name });
    await auth.deleteUser(name);
}

async function lives(auth, count) {
    let next = 0;
    const one = async () => {
        while (next < count) await life(auth, `user-${(next += 1)}`);
    };
    await Promise.all(Array.from({ length: 64 }, one));
}

for (const kind of ["file", "memory"]) {
    test(`100,000 calls leave no memory behind (${kind})`, async (t) => {
        const options = { durability: "deferred", cacheBytes: 4 * MIB };
        const store = await open(kind === "file" ? freshPath(t) : ":memory:", options);
        await lives(store.adapter, 1_000);
        await mustBecomeFlat(t, () => lives(store.adapter, 5_000));
        await store.close();
    });
}

test("stores that are opened and closed leave no memory behind", async (t) => {
    const path = freshPath(t);
    await mustBecomeFlat(t, async () => {
        for (let round = 0; round < 300; round += 1) {
            const store = await open(path);
            await store.close();
            await open("/dev/null/none").catch(() => {});
            await RedbAdapter.inMemory().createUser({});
            if (round % 20 === 0) gc();
        }
    });
});
