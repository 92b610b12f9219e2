// Sessions: the contract of createSession, getSessionAndUser, updateSession and deleteSession.

import assert from "node:assert/strict";

import { newSession, newUser, onEachStore, past, race, rejects, soon, times } from "./stores.mjs";

onEachStore("a session comes back with its user and its dates", async (auth) => {
    const ada = await auth.createUser(newUser("ada"));
    const session = newSession("a-secret", "ada");
    const created = await auth.createSession(session);
    assert.deepEqual(created, { ...session, id: created.id });
    assert.ok(created.expires instanceof Date);
    assert.deepEqual(await auth.getSessionAndUser("a-secret"), { session: created, user: ada });
});

onEachStore("a token belongs to one session", async (auth) => {
    for (const id of ["ada", "eve"]) await auth.createUser(newUser(id));
    const session = await auth.createSession(newSession("a-secret", "ada"));
    await rejects(auth.createSession(newSession("a-secret", "eve", { expires: soon(1) })), "CONFLICT_SESSION_TOKEN");
    assert.deepEqual((await auth.getSessionAndUser("a-secret")).session, session);
    await rejects(auth.createSession(newSession("other", "nobody")), "UNKNOWN_USER");
    assert.equal(await auth.getSessionAndUser("other"), null);
});

onEachStore("an expired session is absent", async (auth) => {
    await auth.createUser(newUser("ada"));
    await auth.createSession(newSession("a-secret", "ada", { expires: past() }));
    assert.equal(await auth.getSessionAndUser("a-secret"), null);
    assert.equal(await auth.updateSession({ sessionToken: "a-secret", expires: soon() }), null);
    assert.equal(await auth.getSessionAndUser("a-secret"), null);
    const renewed = await auth.createSession(newSession("a-secret", "ada"));
    assert.deepEqual((await auth.getSessionAndUser("a-secret")).session, renewed);
});

onEachStore("a session expires by itself", async (auth) => {
    await auth.createUser(newUser("ada"));
    const expires = soon(200);
    await auth.createSession(newSession("a-secret", "ada", { expires }));
    assert.ok(await auth.getSessionAndUser("a-secret"));
    while (Date.now() <= expires.getTime()) await new Promise((resolve) => setTimeout(resolve, 10));
    assert.equal(await auth.getSessionAndUser("a-secret"), null);
});

onEachStore("an update changes what it names and creates nothing", async (auth) => {
    for (const id of ["ada", "eve"]) await auth.createUser(newUser(id));
    const session = await auth.createSession(newSession("a-secret", "ada", { device: "phone", place: "London" }));
    const expires = soon(1_000_000_000);
    const updated = await auth.updateSession({ sessionToken: "a-secret", expires, userId: undefined, place: null });
    assert.deepEqual(updated, { sessionToken: "a-secret", userId: "ada", id: session.id, expires, device: "phone" });
    assert.deepEqual((await auth.getSessionAndUser("a-secret")).session, updated);
    assert.equal((await auth.updateSession({ sessionToken: "a-secret", userId: "eve" })).userId, "eve");
    assert.equal((await auth.getSessionAndUser("a-secret")).user.id, "eve");
    assert.deepEqual(await auth.updateSession({ ...updated, userId: "ada" }), updated);

    assert.equal(await auth.updateSession({ sessionToken: "unknown", expires }), null);
    assert.equal(await auth.getSessionAndUser("unknown"), null);
    await rejects(auth.updateSession({ sessionToken: "a-secret", userId: "nobody" }), "UNKNOWN_USER");
    for (const field of ["expires", "userId"]) {
        await rejects(auth.updateSession({ sessionToken: "a-secret", [field]: null }), "INVALID_ARGUMENT", field);
    }
    assert.deepEqual((await auth.getSessionAndUser("a-secret")).session, updated);
});

onEachStore("a session is deleted once, expired or not", async (auth) => {
    await auth.createUser(newUser("ada"));
    for (const expires of [soon(), past()]) {
        const session = await auth.createSession(newSession("a-secret", "ada", { expires }));
        assert.deepEqual(await auth.deleteSession("a-secret"), session);
        assert.equal(await auth.deleteSession("a-secret"), null);
    }
});

onEachStore("of many sessions with one token one is created", async (auth) => {
    await auth.createUser(newUser("ada"));
    const { values, codes } = await race(times(() => auth.createSession(newSession("a-secret", "ada"))));
    assert.equal(values.length, 1);
    assert.ok(codes.every((code) => code === "CONFLICT_SESSION_TOKEN"));
    assert.deepEqual((await auth.getSessionAndUser("a-secret")).session, values[0]);
});

onEachStore("a deleted session is not revived by an update", async (auth) => {
    await auth.createUser(newUser("ada"));
    for (let round = 0; round < 8; round += 1) {
        await auth.createSession(newSession("a-secret", "ada"));
        const calls = times(() => auth.updateSession({ sessionToken: "a-secret", expires: soon() }));
        calls.splice(16, 0, () => auth.deleteSession("a-secret"));
        const { codes } = await race(calls);
        assert.deepEqual(codes, []);
        assert.equal(await auth.getSessionAndUser("a-secret"), null);
        assert.equal(await auth.deleteSession("a-secret"), null);
    }
});

onEachStore("a person's sessions are listed without their tokens, and ended by their ids", async (auth, store) => {
    for (const id of ["ada", "eve"]) await auth.createUser(newUser(id));
    const made = [];
    for (const token of ["one", "two", "three"]) {
        made.push(await auth.createSession(newSession(token, "ada", { agent: `browser ${token}` })));
    }
    await auth.createSession(newSession("old", "ada", { expires: past() }));
    await auth.createSession(newSession("hers", "eve"));

    const { items: listed, next } = await store.listSessions("ada");
    assert.equal(next, null);
    for (const [place, { id, expires, agent }] of made.entries()) {
        const { created, extended } = listed[place];
        assert.ok(created instanceof Date && extended.getTime() === created.getTime());
        assert.deepEqual(listed[place], { id, userId: "ada", created, extended, expires, agent });
    }
    assert.equal(listed.length, made.length);
    assert.deepEqual(await store.listSessions("nobody"), { items: [], next: null });

    assert.equal(await store.endSession("grace", made[0].id), null);
    assert.deepEqual(await store.endSession("ada", made[0].id), listed[0]);
    assert.equal(await store.endSession("ada", made[0].id), null);
    assert.equal(await auth.getSessionAndUser("one"), null);
    assert.equal(await store.endSessions("ada", made[1].id), 2);
    assert.ok(await auth.getSessionAndUser("two"));
    assert.equal(await store.endSessions("ada"), 1);
    assert.equal(await auth.getSessionAndUser("two"), null);
    assert.ok(await auth.getSessionAndUser("hers"));
    await rejects(store.endSessions("ada", 7), "INVALID_ARGUMENT");
    await rejects(store.endSessions("ada", made[1].id), "UNKNOWN_SESSION");
    await rejects(store.listSessions(undefined), "INVALID_ARGUMENT");
});

onEachStore("valid sessions are listed in pages, however many have expired", async (auth, store) => {
    await auth.createUser(newUser("ada"));
    await race(times((n) => auth.createSession(newSession(`old ${n}`, "ada", { expires: past() })), 1_000));
    const tokens = ["one", "two", "three"];
    const ids = [];
    for (const token of tokens) ids.push((await auth.createSession(newSession(token, "ada"))).id);

    const all = await store.listSessions("ada");
    assert.deepEqual([all.items.map(({ id }) => id), all.next], [ids, null]);
    const found = [];
    let after;
    do {
        const page = await store.listSessions("ada", { after, limit: 2 });
        assert.ok(page.items.length === 2 || page.next === null);
        found.push(...page.items.map(({ id }) => id));
        after = page.next;
    } while (after !== null);
    assert.deepEqual(found, ids);

    for (const wrong of ["no cursor", 7]) await rejects(store.listSessions("ada", { after: wrong }), "INVALID_ARGUMENT", "after");
    for (const limit of [-1, 0, 1_001, 1.5, "2"]) await rejects(store.listSessions("ada", { limit }), "INVALID_ARGUMENT", "limit");
    await rejects(store.listSessions("ada", "2"), "INVALID_ARGUMENT", "options");
});
