// Opening and closing: one file is one store in a process, and what cannot be opened says why.

import assert from "node:assert/strict";
import {
    chmodSync,
    copyFileSync,
    cpSync,
    existsSync,
    linkSync,
    lstatSync,
    mkdirSync,
    renameSync,
    rmSync,
    symlinkSync,
    writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

import RedbAdapter, { AuthKvError, RedbAdapter as named, Store, open } from "authkv";

import {
    freshPath,
    inChild,
    newAccount,
    newAuthenticator,
    newSession,
    newToken,
    newUser,
    packageFolder,
    rejects,
} from "./stores.mjs";

/** The functions of an adapter, with arguments that each of them takes. */
const CALLS = {
    createUser: [newUser("ada")],
    getUser: ["ada"],
    getUserByEmail: ["ada@example.com"],
    getUserByAccount: [{ provider: "github", providerAccountId: "1" }],
    updateUser: [{ id: "ada" }],
    deleteUser: ["ada"],
    linkAccount: [newAccount("ada", "1")],
    unlinkAccount: [{ provider: "github", providerAccountId: "1" }],
    getAccount: ["1", "github"],
    createSession: [newSession("a-secret", "ada")],
    getSessionAndUser: ["a-secret"],
    updateSession: [{ sessionToken: "a-secret" }],
    deleteSession: ["a-secret"],
    createVerificationToken: [newToken("ada", "a-secret")],
    useVerificationToken: [{ identifier: "ada", token: "a-secret" }],
    createAuthenticator: [newAuthenticator("key", "ada")],
    getAuthenticator: ["key"],
    listAuthenticatorsByUserId: ["ada"],
    updateAuthenticatorCounter: ["key", 1],
};

test("an adapter is a plain object of functions that work alone", async () => {
    const adapter = RedbAdapter.inMemory();
    assert.deepEqual(Object.keys(adapter), Object.keys(CALLS));
    assert.equal(Object.getPrototypeOf(adapter), Object.prototype);
    const { createUser, getUser } = { ...adapter };
    const creating = createUser.call(undefined, newUser("ada"));
    assert.ok(creating instanceof Promise);
    await creating;
    assert.equal((await getUser("ada")).id, "ada");
    for (const [name, method] of Object.entries(adapter)) {
        assert.equal(method.name, name);
        assert.equal(method.length, CALLS[name].length, name);
        await rejects(method(), "INVALID_ARGUMENT");
    }
});

test("the stack of an argument's error shows the function and its caller", async () => {
    const adapter = RedbAdapter.inMemory();
    for (const [name, method] of Object.entries(adapter)) {
        const { stack } = await (function caller() {
            return method().catch((error) => error);
        })();
        assert.match(stack, new RegExp(`at (Object\\.)?${name} [^]*adapter\\.js[^]*at caller `), stack);
    }
});

test("import and require give the same package", () => {
    const required = createRequire(import.meta.url)("authkv");
    assert.equal(required, RedbAdapter);
    assert.equal(required.default, RedbAdapter);
    assert.equal(required.open, open);
    assert.equal(named, RedbAdapter);
    assert.ok(required.AuthKvError === AuthKvError && required.Store === Store);
});

test("stores in memory are separate and leave no file", async () => {
    const adapters = [RedbAdapter.inMemory(), RedbAdapter(":memory:"), RedbAdapter(await open(":memory:"))];
    await Promise.all(adapters.map((adapter) => adapter.createUser(newUser("ada"))));
    assert.ok(!existsSync(":memory:"));
});

test("a file is there again after it was closed, dates and all", async (t) => {
    const path = freshPath(t);
    const first = await open(path);
    const user = await first.adapter.createUser(newUser("ada", { emailVerified: new Date(5), born: new Date(6) }));
    const session = await first.adapter.createSession(newSession("a-secret", "ada"));
    await first.close();
    const second = await open(path);
    assert.deepEqual(await second.adapter.getSessionAndUser("a-secret"), { session, user });
    await second.close();
});

test("the same file, however it is called, is one store", async (t) => {
    const path = freshPath(t);
    symlinkSync(dirname(path), join(dirname(path), "link"));
    const names = [path, relative(process.cwd(), path), join(dirname(path), "link", "auth.redb"), pathToFileURL(path)];
    const stores = await Promise.all(names.map((name) => open(name)));
    const adapters = [...names.map((name) => RedbAdapter(name)), ...stores.map((store) => RedbAdapter(store))];
    await adapters[0].createUser(newUser("ada"));
    for (const adapter of adapters) assert.equal((await adapter.getUser("ada")).id, "ada");
    const again = await Promise.allSettled(adapters.map((adapter) => adapter.createUser(newUser("eve"))));
    assert.equal(again.filter(({ status }) => status === "fulfilled").length, 1);
});

test("a file that many open and close at once stays one store", async (t) => {
    const path = freshPath(t);
    await Promise.all(
        Array.from({ length: 32 }, async (_, place) => {
            const store = await open(path);
            await store.adapter.createUser(newUser(`user-${place}`));
            await store.close();
        }),
    );
    const store = await open(path);
    assert.equal((await store.check()).users, 32);
    await store.close();
});

test("other options than those of the store that is open are refused", async (t) => {
    const path = freshPath(t);
    const store = await open(path, { durability: "deferred" });
    assert.throws(() => RedbAdapter(path), { code: "OTHER_OPTIONS" });
    await rejects(open(path, { durability: "full" }), "OTHER_OPTIONS");
    const same = await open(path, { durability: "deferred", verify: false, cacheBytes: undefined });
    await same.close();
    await store.close();
    await (await open(path)).close();
});

test("a closed handle rejects, and others on the file work", async (t) => {
    const path = freshPath(t);
    const [one, other] = [await open(path), await open(path)];
    await one.close();
    for (const [method, given] of Object.entries(CALLS)) await rejects(one.adapter[method](...given), "CLOSED");
    for (const method of ["check", "close", "purgeExpired", "synchronize"]) await rejects(one[method](), "CLOSED");
    await rejects(one.findVerificationToken({ identifier: "i", token: "t" }), "CLOSED");
    await other.adapter.createUser(newUser("ada"));
    await other.close();
    assert.throws(() => RedbAdapter(other, {}), { code: "INVALID_ARGUMENT", field: "options" });
});

test("closing carries out the writes that were accepted", async (t) => {
    const path = freshPath(t);
    const store = await open(path);
    const writes = Array.from({ length: 500 }, (_, place) => store.adapter.createUser(newUser(`user-${place}`)));
    await store.close();
    await Promise.all(writes);
    const again = await open(path);
    assert.equal((await again.check()).users, 500);
    await again.close();
});

test("a store that nobody refers to any more is closed", async (t) => {
    const path = freshPath(t);
    await (async () => RedbAdapter(path).createUser(newUser("ada")))();
    for (let rounds = 0; ; rounds += 1) {
        assert.ok(rounds < 100, "it is never closed");
        await new Promise((resolve) => setTimeout(resolve, 10));
        gc();
        const opened = await inChild("await (await open(path)).close(); console.log('opened')", path).catch(
            ({ stderr }) => stderr,
        );
        if (opened.stdout === "opened\n") break;
    }
});

test("a file that was removed while it was open is another one when it is made again", async (t) => {
    const path = freshPath(t);
    const old = await open(path);
    await old.adapter.createUser(newUser("ada"));
    rmSync(path);
    const fresh = await open(path);
    assert.equal(await fresh.adapter.getUser("ada"), null);
    assert.equal((await old.adapter.getUser("ada")).id, "ada");
    await assert.rejects(old.close(), { code: "STORAGE", message: /lost its file.*another file is at .*auth\.redb/ });
    await fresh.adapter.createUser(newUser("eve"));
    await fresh.close();
});

test("a second after a file was removed or replaced, no write to it is done, and closing says so", async (t) => {
    const harms = {
        "was deleted": (path) => rmSync(path),
        "was moved or renamed": (path) => renameSync(path, `${path}.old`),
        "another file is at": (path) => renameSync(`${path}.backup`, path),
    };
    const stores = await Promise.all(
        Object.entries(harms).map(async ([what, harm]) => {
            const path = freshPath(t);
            const before = await open(path);
            await before.adapter.createUser(newUser("ada"));
            await before.close();
            copyFileSync(path, `${path}.backup`);
            const store = await open(path);
            await store.adapter.createUser(newUser("bob"));
            harm(path);
            return { what, path, store };
        }),
    );
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    for (const { what, path, store } of stores) {
        const lost = { code: "STORAGE", message: new RegExp(`lost its file.*${what}`) };
        await assert.rejects(store.adapter.createUser(newUser("eve")), lost);
        await assert.rejects(store.adapter.getUser("ada"), lost);
        const fresh = await open(path);
        assert.equal((await fresh.adapter.getUser("ada"))?.id, what.startsWith("another") ? "ada" : undefined);
        await fresh.adapter.createUser(newUser("eve"));
        await assert.rejects(store.close(), lost);
        assert.equal((await fresh.adapter.getUser("eve")).id, "eve");
        await fresh.close();
    }
});

test("a file with two names is one store", async (t) => {
    const path = freshPath(t);
    const second = join(dirname(path), "second.redb");
    const store = await open(path);
    linkSync(path, second);
    const other = await open(second);
    await other.adapter.createUser(newUser("ada"));
    assert.equal((await store.adapter.getUser("ada")).id, "ada");
    await rejects(open(second, { durability: "deferred" }), "OTHER_OPTIONS");
    await store.close();
    assert.equal((await other.adapter.getUser("ada")).id, "ada");
    await other.close();
    await (await open(second)).close();
});

test("a link to a file that does not exist yet makes that file", async (t) => {
    const link = freshPath(t);
    const target = join(dirname(link), "volume", "target.redb");
    mkdirSync(dirname(target));
    symlinkSync(target, link);
    const stores = [await open(link), await open(target), await open(link)];
    await stores[0].adapter.createUser(newUser("ada"));
    for (const store of stores) assert.equal((await store.adapter.getUser("ada")).id, "ada");
    for (const store of stores) await store.close();
    assert.ok(lstatSync(link).isSymbolicLink() && lstatSync(target).isFile());
});

test("without its tables a store says so until they are made", async (t) => {
    const store = await open(freshPath(t), { synchronize: false });
    await rejects(store.adapter.getUser("ada"), "MISSING_TABLE");
    await rejects(store.adapter.createUser(newUser("ada")), "MISSING_TABLE");
    assert.equal(await store.synchronize(), undefined);
    await store.adapter.createUser(newUser("ada"));
    await store.close();
});

test("every option is taken", async (t) => {
    const path = freshPath(t);
    const options = {
        synchronize: true,
        durability: "deferred",
        emailMatching: "exact",
        cacheBytes: 1 << 20,
        verify: true,
        secureDelete: true,
    };
    for (const round of [1, 2]) {
        const store = await open(path, options);
        await store.adapter.createUser(newUser(`user-${round}`));
        await store.close();
    }
    await rejects(open(path), "OTHER_EMAIL_MATCHING");
});

test("what cannot be opened says why", async (t) => {
    const folder = dirname(freshPath(t));
    const text = join(folder, "text");
    writeFileSync(text, "this is no database".repeat(1_000));
    for (const [path, code] of [
        [text, "NOT_REDB"],
        [folder, "OPEN_FAILED"],
        [join(folder, "missing", "auth.redb"), "OPEN_FAILED"],
    ]) {
        assert.throws(() => RedbAdapter(path), { code });
        await assert.rejects(open(path), (error) => error.code === code && error.message.includes(path));
    }
    if (process.getuid?.() !== 0) {
        const path = join(folder, "auth.redb");
        await (await open(path)).close();
        chmodSync(path, 0o400);
        await rejects(open(path), "READ_ONLY");
    }
});

test("another process is told to be the only one", async (t) => {
    const path = freshPath(t);
    const store = await open(path);
    const report = "console.log(JSON.stringify({ code: error.code, message: error.message }))";
    for (const code of [
        `await open(path).catch((error) => ${report})`,
        `try { RedbAdapter(path) } catch (error) { ${report} }`,
    ]) {
        const { stdout } = await inChild(code, path);
        const { code: found, message } = JSON.parse(stdout);
        assert.equal(found, "LOCKED");
        assert.match(message, /auth\.redb.*one process at a time.*single server process.*database server/i);
    }
    await store.close();
    await inChild("await (await open(path)).close()", path);
});

test("copies of the package in one process share the store", async (t) => {
    const folder = dirname(freshPath(t));
    const path = join(folder, "auth.redb");
    const copy = copyOfThePackage(folder, "node_modules/authkv");
    const copied = createRequire(import.meta.url)(copy);
    assert.notEqual(copied, RedbAdapter);
    const [mine, theirs] = [await open(path), await copied.open(path)];
    await mine.adapter.createUser(newUser("ada"));
    assert.equal((await theirs.adapter.getUser("ada")).id, "ada");
    assert.equal((await RedbAdapter(theirs).getUser("ada")).id, "ada");
    await Promise.all([mine.close(), theirs.close()]);
});

test("two copies of the addon in one process keep each other out", async (t) => {
    const folder = dirname(freshPath(t));
    const path = join(folder, "auth.redb");
    const store = await open(path);
    const copy = copyOfThePackage(folder, "other");
    // Another version does not share its addon.
    writeFileSync(
        join(copy, "package.json"),
        JSON.stringify({ name: "authkv", version: "0.0.0-other", main: "./index.js" }),
    );
    const other = createRequire(import.meta.url)(copy);
    const memory = await other.open(":memory:");
    await memory.adapter.createUser(newUser("ada"));
    await memory.close();
    await rejects(other.open(path), "LOCKED");
    await store.adapter.createUser(newUser("ada"));
    await store.close();
    const opened = await other.open(path);
    assert.equal((await opened.adapter.getUser("ada")).id, "ada");
    await opened.close();
});

function copyOfThePackage(folder, name) {
    const copy = join(folder, name);
    mkdirSync(copy, { recursive: true });
    for (const part of ["package.json", "index.js", "lib", "authkv.node"]) {
        cpSync(join(packageFolder, part), join(copy, part), { recursive: true });
    }
    return copy;
}
