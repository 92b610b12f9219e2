// Users: the contract of createUser, getUser, getUserByEmail, updateUser and deleteUser.

import assert from "node:assert/strict";

import {
    newAccount,
    newAuthenticator,
    newSession,
    newToken,
    newUser,
    onEachStore,
    race,
    rejects,
    times,
} from "./stores.mjs";

onEachStore("a user comes back as it was given", async (auth) => {
    const verified = new Date(1_700_000_000_123);
    const ada = newUser("ada", { name: "Ada", image: "https://example.com/ada.png", emailVerified: verified });
    assert.deepEqual(await auth.createUser(ada), ada);
    assert.deepEqual(await auth.getUser("ada"), ada);
    assert.deepEqual(await auth.getUserByEmail("ada@example.com"), ada);
});

onEachStore("a user without an id gets a fresh one, and no field that was not given", async (auth) => {
    for (const given of [{ email: "ada@example.com" }, { id: undefined, email: "eve@example.com", name: undefined }]) {
        const user = await auth.createUser(given);
        assert.match(user.id, /^[0-9a-f-]{36}$/);
        assert.deepEqual(user, { id: user.id, email: given.email });
    }
    assert.deepEqual(Object.keys(await auth.createUser({})), ["id"]);
});

onEachStore("an id and an e-mail address belong to one user", async (auth) => {
    await auth.createUser(newUser("ada"));
    await rejects(auth.createUser(newUser("ada", { email: "other@example.com" })), "CONFLICT_USER_ID");
    await rejects(auth.createUser(newUser("eve", { email: "ADA@example.com" })), "CONFLICT_EMAIL");
    assert.equal(await auth.getUser("eve"), null);
    assert.equal(await auth.getUserByEmail("other@example.com"), null);
});

onEachStore("addresses are compared in ASCII lower case and come back as they were spelled", async (auth) => {
    await auth.createUser(newUser("ada", { email: "Ada@Example.com" }));
    assert.equal((await auth.getUserByEmail("aDA@eXAMPLE.COM")).email, "Ada@Example.com");
    await auth.createUser(newUser("kelvin", { email: "\u212A@example.com" }));
    assert.equal(await auth.getUserByEmail("k@example.com"), null);
});

onEachStore(
    "addresses are compared exactly if that is asked for",
    async (auth) => {
        await auth.createUser(newUser("ada", { email: "Ada@example.com" }));
        assert.equal(await auth.getUserByEmail("ada@example.com"), null);
        await auth.createUser(newUser("other", { email: "ada@example.com" }));
    },
    { emailMatching: "exact" },
);

onEachStore("no address finds users without one", async (auth) => {
    await auth.createUser({ id: "ada" });
    await auth.createUser({ id: "eve", email: null });
    for (const email of ["", "null", "undefined"]) assert.equal(await auth.getUserByEmail(email), null);
});

onEachStore("what is unknown is null", async (auth) => {
    assert.equal(await auth.getUser("nobody"), null);
    assert.equal(await auth.getUserByEmail("nobody@example.com"), null);
    assert.equal(await auth.getUserByAccount({ provider: "github", providerAccountId: "1" }), null);
    assert.equal(await auth.deleteUser("nobody"), null);
});

onEachStore("an update keeps what is absent, clears what is null and replaces the rest", async (auth) => {
    const verified = new Date();
    await auth.createUser(
        newUser("ada", { name: "Ada", image: "a.png", emailVerified: verified, role: "admin", age: 36 }),
    );
    const updated = await auth.updateUser({ id: "ada", name: undefined, image: null, role: "user", age: null });
    const expected = { id: "ada", name: "Ada", email: "ada@example.com", emailVerified: verified, role: "user" };
    assert.deepEqual(updated, expected);
    assert.deepEqual(await auth.getUser("ada"), expected);
    assert.deepEqual(await auth.updateUser({ id: "ada", emailVerified: null, email: null }), {
        id: "ada",
        name: "Ada",
        role: "user",
    });
    assert.equal(await auth.getUserByEmail("ada@example.com"), null);
});

onEachStore("a changed address is taken and the old one is free", async (auth) => {
    await auth.createUser(newUser("ada"));
    await auth.createUser(newUser("eve"));
    await auth.updateUser({ id: "ada", email: "lovelace@example.com" });
    assert.equal((await auth.getUserByEmail("lovelace@example.com")).id, "ada");
    await auth.createUser(newUser("other", { email: "ada@example.com" }));
    await rejects(auth.updateUser({ id: "eve", email: "Lovelace@example.com", name: "Eve" }), "CONFLICT_EMAIL");
    assert.deepEqual(await auth.getUser("eve"), { id: "eve", email: "eve@example.com" });
});

onEachStore("a changed address is unproven, whatever proof of the old one the update repeats", async (auth) => {
    const [first, later] = [new Date(1_700_000_000_123), new Date(1_700_000_000_124)];
    const ada = await auth.createUser(newUser("ada", { emailVerified: first, role: "admin" }));
    const proofAfter = async (update) => {
        const updated = await auth.updateUser({ id: "ada", ...update });
        assert.deepEqual(await auth.getUser("ada"), updated);
        return updated.emailVerified;
    };
    assert.deepEqual(await proofAfter({ email: "ADA@example.com" }), first, "the same address, spelled otherwise");
    assert.equal(await proofAfter({ ...ada, email: "eve@example.com" }), undefined);
    assert.deepEqual(await proofAfter(ada), first);
    assert.equal(await proofAfter({ email: "eve@example.com" }), undefined);
    assert.deepEqual(await proofAfter({ email: "ada@example.com", emailVerified: first }), first);
    assert.deepEqual(await proofAfter({ email: "eve@example.com", emailVerified: later }), later);
    assert.deepEqual(await proofAfter({ name: "Eve" }), later);
    assert.equal(await proofAfter({ email: null, emailVerified: first }), undefined);
});

onEachStore("an update of an unknown user is an error and creates nobody", async (auth) => {
    await rejects(auth.updateUser({ id: "nobody", name: "Nobody" }), "UNKNOWN_USER");
    await rejects(auth.updateUser({ name: "Nobody" }), "INVALID_ARGUMENT", "id");
    assert.equal(await auth.getUser("nobody"), null);
});

onEachStore("a deleted user leaves only verification tokens", async (auth, store) => {
    for (const id of ["ada", "eve"]) {
        await auth.createUser(newUser(id));
        await auth.linkAccount(newAccount(id, `of-${id}`));
        await auth.createSession(newSession(`session-of-${id}`, id));
        await auth.createAuthenticator(newAuthenticator(`key-of-${id}`, id));
        await auth.createVerificationToken(newToken(`${id}@example.com`, "a-secret"));
    }
    assert.deepEqual(await auth.deleteUser("ada"), { id: "ada", email: "ada@example.com" });
    assert.equal(await auth.getUser("ada"), null);
    assert.equal(await auth.getUserByEmail("ada@example.com"), null);
    assert.equal(await auth.getAccount("of-ada", "github"), null);
    assert.equal(await auth.getUserByAccount({ provider: "github", providerAccountId: "of-ada" }), null);
    assert.equal(await auth.getSessionAndUser("session-of-ada"), null);
    assert.equal(await auth.getAuthenticator("key-of-ada"), null);
    assert.deepEqual(await auth.listAuthenticatorsByUserId("ada"), []);
    assert.ok(await store.findVerificationToken({ identifier: "ada@example.com", token: "a-secret" }));
    assert.equal(await auth.deleteUser("ada"), null);
    assert.ok(await auth.getSessionAndUser("session-of-eve"));
    assert.equal((await auth.listAuthenticatorsByUserId("eve")).length, 1);
    await auth.createUser(newUser("ada"));
    assert.equal(await auth.getSessionAndUser("session-of-ada"), null);
});

onEachStore("an empty name, address or picture of a new user counts as absent", async (auth) => {
    for (const id of ["ada", "eve"]) {
        const made = await auth.createUser({ id, name: "", email: "", image: "", own: "" });
        assert.deepEqual([made.name, made.email, made.image, made.own], [undefined, undefined, undefined, ""]);
        assert.deepEqual(await auth.getUser(id), made);
    }
    assert.equal(await auth.getUserByEmail(""), null);
});

onEachStore("an update to an empty address is refused, and the error says what clears", async (auth) => {
    const ada = await auth.createUser(newUser("ada"));
    await assert.rejects(auth.updateUser({ id: "ada", name: "Ada", email: "" }), {
        code: "INVALID_ARGUMENT",
        field: "email",
        message: "email must not be empty; null clears it",
    });
    assert.deepEqual(await auth.getUser("ada"), ada);
    assert.equal((await auth.updateUser({ id: "ada", email: null })).email, undefined);
});

onEachStore("of sign-ups with one address one wins", async (auth) => {
    const { values, codes } = await race(times(() => auth.createUser({ email: "ada@example.com" })));
    assert.equal(values.length, 1);
    assert.ok(codes.every((code) => code === "CONFLICT_EMAIL"));
    assert.deepEqual(await auth.getUserByEmail("ada@example.com"), values[0]);
});

onEachStore("of an update and sign-ups to one address one wins", async (auth) => {
    await auth.createUser(newUser("ada"));
    const sign_ups = times((place) => auth.createUser({ id: `u${place}`, email: "free@example.com" }), 16);
    const updates = times(() => auth.updateUser({ id: "ada", email: "free@example.com" }), 16);
    const { values } = await race(sign_ups.flatMap((call, place) => [call, updates[place]]));
    const owner = await auth.getUserByEmail("free@example.com");
    assert.ok(values.length >= 1 && values.every(({ id }) => id === owner.id));
});

onEachStore("updates of different fields all survive", async (auth) => {
    await auth.createUser(newUser("ada"));
    const { codes } = await race(times((place) => auth.updateUser({ id: "ada", [`field${place}`]: place })));
    assert.deepEqual(codes, []);
    const user = await auth.getUser("ada");
    for (let place = 0; place < 32; place += 1) assert.equal(user[`field${place}`], place);
});

onEachStore("a child of a user that is being deleted is removed or refused", async (auth) => {
    for (let round = 0; round < 8; round += 1) {
        await auth.createUser(newUser("ada"));
        const children = times((place) => auth.createSession(newSession(`s${round}-${place}`, "ada")), 16);
        const accounts = times((place) => auth.linkAccount(newAccount("ada", `a${round}-${place}`)), 16);
        const calls = [...children, ...accounts];
        calls.splice(16, 0, () => auth.deleteUser("ada"));
        const { codes } = await race(calls);
        assert.ok(
            codes.every((code) => code === "UNKNOWN_USER"),
            codes.join(),
        );
        for (let place = 0; place < 16; place += 1) {
            assert.equal(await auth.getSessionAndUser(`s${round}-${place}`), null);
            assert.equal(await auth.getAccount(`a${round}-${place}`, "github"), null);
        }
    }
});
