// Own fields: what an application adds to the records comes back unchanged.

import assert from "node:assert/strict";

import { newAccount, newSession, newToken, newUser, onEachStore, PARALLEL, race, rejects } from "./stores.mjs";

const nested = (levels) => (levels === 0 ? "innermost" : [nested(levels - 1)]);

/** Fields of every kind. */
const FIELDS = {
    text: "text",
    empty: "",
    emoji: "👩‍🚀 \0 \u2028",
    looksLikeADate: "2026-11-25T00:00:00.000Z",
    yes: true,
    no: false,
    nothing: null,
    integer: -7,
    fraction: 0.1,
    tiny: 5e-324,
    negativeZero: -0,
    large: Number.MAX_SAFE_INTEGER,
    larger: 2 ** 63,
    largest: Number.MAX_VALUE,
    date: new Date(-1),
    oldest: new Date(-8_334_601_228_800_000),
    newest: new Date(8_210_266_876_799_999),
    list: [1, [new Date(0)], {}, null],
    object: { date: new Date(1), list: [], object: { a: 1 } },
    deep: nested(31),
    email_verified: true,
    user_id: "583231",
    $instant: 5,
    $$instant: { $instant: 5 },
    looksLikeAnInstant: { $instant: 5 },
    twice: { $$instant: 5, $instant: new Date(5) },
    constructor: "constructor",
    toString: "toString",
    then: "then",
    "": undefined,
    absent: undefined,
};
Object.defineProperty(FIELDS, "__proto__", { value: { polluted: true }, enumerable: true });

function present(fields) {
    return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

function comeBack(actual, known) {
    assert.deepStrictEqual(actual, { ...known, ...present(FIELDS) });
    assert.ok(Object.hasOwn(actual, "__proto__"));
    assert.equal(Object.getPrototypeOf(actual), Object.prototype);
    assert.equal(Object.is(actual.negativeZero, -0), true);
    assert.equal({}.polluted, undefined);
    for (const name of Object.keys(actual)) {
        const { enumerable, writable, configurable } = Object.getOwnPropertyDescriptor(actual, name);
        assert.ok(enumerable && writable && configurable, name);
    }
}

onEachStore("own fields of a user come back as they were", async (auth) => {
    const known = { id: "ada", email: "ada@example.com" };
    comeBack(await auth.createUser({ ...known, ...FIELDS }), known);
    comeBack(await auth.getUser("ada"), known);
    await auth.createUser({ id: "eve" });
    const patch = present(FIELDS);
    delete patch.nothing;
    comeBack({ ...(await auth.updateUser({ id: "eve", ...patch })), nothing: null }, { id: "eve" });
});

onEachStore("own fields of an account come back as they were", async (auth) => {
    await auth.createUser(newUser("ada"));
    const known = newAccount("ada", "1", { id: "account" });
    comeBack(await auth.linkAccount({ ...known, ...FIELDS }), known);
    comeBack(await auth.getAccount("1", "github"), known);
});

onEachStore("own fields of a session come back as they were", async (auth) => {
    await auth.createUser(newUser("ada"));
    const session = newSession("a-secret", "ada");
    const created = await auth.createSession({ ...session, ...FIELDS });
    comeBack(created, { ...session, id: created.id });
    comeBack((await auth.getSessionAndUser("a-secret")).session, { ...session, id: created.id });
});

onEachStore("own fields of a verification token come back as they were", async (auth) => {
    const token = newToken("ada", "a-secret");
    comeBack(await auth.createVerificationToken({ ...token, ...FIELDS }), token);
    comeBack(await auth.useVerificationToken({ identifier: "ada", token: "a-secret" }), token);
});

onEachStore("results and arguments are independent of the store", async (auth) => {
    const given = newUser("ada", { tags: ["a"], since: new Date(0) });
    const kept = structuredClone(given);
    const created = await auth.createUser(Object.freeze(given));
    created.tags.push("b");
    created.since.setTime(1);
    assert.deepEqual(await auth.getUser("ada"), { id: "ada", email: kept.email, tags: ["a"], since: new Date(0) });
    assert.deepEqual(given, kept);
});

onEachStore("own fields are within the limits", async (auth) => {
    await auth.createUser(newUser("ada"));
    const refused = {
        deep: nested(32),
        long: "x".repeat(65_536),
        list: new Array(40_000).fill(1),
        ["n".repeat(70_000)]: 1,
        ["n".repeat(60_000)]: "x".repeat(65_535),
    };
    for (const [name, value] of Object.entries(refused)) {
        await rejects(auth.createUser({ [name]: value }), "INVALID_ARGUMENT", name);
        await rejects(auth.updateUser({ id: "ada", [name]: value }), "INVALID_ARGUMENT", name);
    }
    const many = Object.fromEntries(Array.from({ length: 10 }, (_, place) => [`f${place}`, "x".repeat(60_000)]));
    await rejects(auth.createUser(many), "INVALID_ARGUMENT");
    assert.deepEqual(await auth.getUser("ada"), { id: "ada", email: "ada@example.com" });
    const just = { id: "eve", long: "x".repeat(65_534) };
    assert.deepEqual(await auth.createUser(just), just);
});

/** Numbers from 0 to 1 that are the same in every run. */
function dice(seed) {
    let state = seed;
    return () => {
        state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
        return state / 2 ** 32;
    };
}

/** A value of any kind that a field can have. */
function anyValue(roll, depth = 0) {
    const one = (of) => of[Math.floor(roll() * of.length)];
    const parts = [...'a$\0"\\é\u2028\n', "💡", "$instant", "__proto__"];
    const text = () => Array.from({ length: roll() * 6 }, () => one(parts)).join("");
    const items = () => Array.from({ length: roll() * 4 }, () => anyValue(roll, depth + 1));
    const kinds = [
        () => null,
        () => roll() < 0.5,
        text,
        () => Math.floor((roll() - 0.5) * 2 ** Math.floor(roll() * 70)),
        () => (roll() - 0.5) * 10 ** Math.floor(roll() * 600 - 300),
        () => one([-0, 5e-324, Number.MAX_VALUE, 2 ** 53, 2 ** 63, 2 ** 64, -(2 ** 63), 1e21, 0.1]),
        () => new Date(Math.floor((roll() - 0.5) * 2 ** Math.floor(roll() * 53))),
        items,
        () => Object.fromEntries(items().map((item) => [one([text(), "$instant", "$$instant", "__proto__"]), item])),
    ];
    return one(depth < 5 ? kinds : kinds.slice(0, 7))();
}

onEachStore("any value comes back as it was", async (auth) => {
    const roll = dice(7);
    for (let round = 0; round < 200; round += 1) {
        const fields = Array.from({ length: 10 }, (_, place) => [`field${place}`, anyValue(roll)]);
        const { id, ...own } = await auth.createUser(Object.fromEntries(fields));
        assert.deepStrictEqual(Object.entries(own).sort(), fields);
        assert.deepStrictEqual(await auth.getUser(id), { id, ...own });
    }
});

onEachStore("requests that overlap keep each other's changes", async (auth) => {
    await auth.createUser(newUser("ada"));
    await auth.createSession(newSession("token", "ada"));
    const names = Array.from({ length: PARALLEL }, (_, place) => `field${place}`);
    const changes = names.flatMap((name) => [
        () => auth.updateUser({ id: "ada", [name]: 1 }),
        () => auth.updateSession({ sessionToken: "token", [name]: 1 }),
    ]);
    await race(changes);
    const { user, session } = await auth.getSessionAndUser("token");
    for (const name of names) assert.deepEqual([user[name], session[name]], [1, 1], name);
});
