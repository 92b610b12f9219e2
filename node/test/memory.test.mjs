// Memory: 100,000 calls of every kind, and stores that are opened and closed, leave the heap and the process as large as
// they were.

import assert from "node:assert/strict";
import { test } from "node:test";

import RedbAdapter, { open } from "authkv";

import { freshPath, newAccount, newAuthenticator, newSession, newToken } from "./stores.mjs";

const MIB = 1 << 20;
/** What the heap and the process may grow by, in bytes. A leak of 100 bytes for each call would be 8 MiB. */
const HEAP_GROWTH_MAX = 4 * MIB;
const RSS_GROWTH_MAX = 24 * MIB;

/** Sizes when nothing is left to collect. */
async function sizes() {
    for (let turns = 0; turns < 4; turns += 1) {
        gc();
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const { heapUsed, external, rss } = process.memoryUsage();
    return { heap: heapUsed + external, rss };
}

function mustBeFlat(before, after, t) {
    const heap = after.heap - before.heap;
    const rss = after.rss - before.rss;
    t.diagnostic(`the heap grew by ${(heap / MIB).toFixed(1)} MiB, the process by ${(rss / MIB).toFixed(1)} MiB`);
    assert.ok(heap < HEAP_GROWTH_MAX && rss < RSS_GROWTH_MAX, `${heap} ${rss}`);
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
        await lives(store.adapter, 1_500);
        const before = await sizes();
        await lives(store.adapter, 5_000);
        mustBeFlat(before, await sizes(), t);
        await store.close();
    });
}

test("stores that are opened and closed leave no memory behind", async (t) => {
    const path = freshPath(t);
    const rounds = async (count) => {
        for (let round = 0; round < count; round += 1) {
            const store = await open(path);
            await store.close();
            await open("/dev/null/none").catch(() => {});
            await RedbAdapter.inMemory().createUser({});
            if (round % 20 === 0) gc();
        }
    };
    await rounds(100);
    const before = await sizes();
    await rounds(400);
    mustBeFlat(before, await sizes(), t);
});
