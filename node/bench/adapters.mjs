// Measures authkv beside the adapters that people would otherwise pick, in one run, and prints a Markdown table.
//
//     npm install && npm run bench           (in this folder, after `npm install && npm run build` in the one above)
//     npm run bench -- --users 1000 --rounds 3 --folder /mnt/disk
//
// Goal: comparable figures on a machine that others use too. Method: in every round each adapter does each kind of call
// for a fixed time, in shuffled order; the figure is the median of the rounds, a ratio the median of the ratios within
// rounds. What is durable is as durable as the others: every acknowledged write is synced to the disk.

import assert from "node:assert/strict";
import { closeSync, fdatasyncSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { arch, cpus, platform, release, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { DrizzleAdapter } from "@auth/drizzle-adapter";
import SequelizeAdapter from "@auth/sequelize-adapter";
import { UnstorageAdapter } from "@auth/unstorage-adapter";
import { open } from "authkv";
import Database from "better-sqlite3";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { Sequelize } from "sequelize";
import { createStorage } from "unstorage";

const { values: options } = parseArgs({
    options: {
        users: { type: "string", default: "10000" },
        rounds: { type: "string", default: "9" },
        milliseconds: { type: "string", default: "400" },
        folder: { type: "string", default: tmpdir() },
    },
});
const USERS = Number(options.users);
const ROUNDS = Number(options.rounds);
const SLICE_MS = Number(options.milliseconds);
const IN_FLIGHT = [1, 64];
const EXPIRES = new Date(Date.now() + 30 * 24 * 60 * 60 * 1000);
const FILE = "a file, synced";
const MEMORY = "memory";

const user = (n) => ({
    id: crypto.randomUUID(), // as Auth.js makes them
    name: `User ${n}`,
    email: `user${n}@example.com`,
    emailVerified: new Date(n),
    image: null,
});
const seededToken = (n) => `4e1b6c1e-session-of-user-${String(n).padStart(12, "0")}`;
const session = (sessionToken, userId) => ({ sessionToken, userId, expires: EXPIRES });

const ADAPTERS = [
    { name: "**authkv**", where: FILE, make: (folder) => authkv(join(folder, "auth.redb")) },
    {
        name: "drizzle, better-sqlite3, WAL, FULL",
        where: FILE,
        make: (folder) => overDrizzle(join(folder, "drizzle.db")),
    },
    { name: "sequelize, sqlite3", where: FILE, make: (folder) => overSequelize(join(folder, "sequelize.db")) },
    { name: "**authkv**", where: MEMORY, make: () => authkv(":memory:") },
    { name: "sequelize, sqlite3", where: MEMORY, make: () => overSequelize(":memory:") },
    { name: "unstorage", where: MEMORY, make: overUnstorage },
];

const CALLS = {
    getSessionAndUser: async (adapter) => {
        const n = Math.floor(Math.random() * USERS);
        const found = await adapter.getSessionAndUser(seededToken(n));
        if (found?.user.email !== `user${n}@example.com`) throw new Error("the wrong user, or none");
    },
    createSession: async (adapter, userIds) => {
        await adapter.createSession(session(crypto.randomUUID(), userIds[Math.floor(Math.random() * USERS)]));
    },
};

const folder = mkdtempSync(join(options.folder, "authkv-bench-"));
try {
    const fsyncMs = measureSync(folder);
    const contenders = [];
    for (const contender of ADAPTERS) {
        const { adapter, seed, close } = await contender.make(folder);
        const userIds = await (seed ?? seedThrough)(adapter);
        await check(adapter);
        contenders.push({ ...contender, adapter, userIds, close, rates: new Map() });
    }
    for (let round = 0; round <= ROUNDS; round += 1) {
        for (const [call, inFlight] of columns()) {
            for (const contender of shuffled(contenders)) {
                const rate = await measure(contender, CALLS[call], inFlight);
                if (round > 0) remember(contender.rates, `${call} ${inFlight}`, rate); // the first round warms up
            }
        }
        console.error(`round ${round} of ${ROUNDS}`);
    }
    print(contenders, fsyncMs);
    for (const { close } of contenders) await close?.();
} finally {
    rmSync(folder, { recursive: true });
}

async function authkv(path) {
    const store = await open(path);
    return { adapter: store.adapter, close: () => store.close() };
}

/** Over SQLite, with the same promise as authkv's: an acknowledged write survives a power cut. */
async function overDrizzle(path) {
    const database = new Database(path);
    database.pragma("journal_mode = WAL");
    database.pragma("synchronous = FULL");
    database.pragma("foreign_keys = ON");
    database.exec(`
        CREATE TABLE user (id TEXT PRIMARY KEY, name TEXT, email TEXT UNIQUE, emailVerified INTEGER, image TEXT);
        CREATE TABLE session (
            sessionToken TEXT PRIMARY KEY,
            userId TEXT NOT NULL REFERENCES user (id) ON DELETE CASCADE,
            expires INTEGER NOT NULL
        )`);
    const seed = async (adapter) => {
        database.exec("BEGIN");
        const userIds = await seedThrough(adapter);
        database.exec("COMMIT");
        return userIds;
    };
    return { adapter: DrizzleAdapter(drizzle(database)), seed, close: () => database.close() };
}

/** As its documentation shows it; SQLite's default is synchronous=FULL with a rollback journal. */
async function overSequelize(storage) {
    const client = new Sequelize({ dialect: "sqlite", storage, logging: false });
    const adapter = SequelizeAdapter(client);
    const seed = async () => {
        await client.sync();
        const users = Array.from({ length: USERS }, (_, n) => user(n));
        await client.models.user.bulkCreate(users);
        await client.models.session.bulkCreate(users.map(({ id }, n) => session(seededToken(n), id)));
        return users.map(({ id }) => id);
    };
    return { adapter, seed, close: () => client.close() };
}

async function overUnstorage() {
    return { adapter: UnstorageAdapter(createStorage()) };
}

/** Makes the users and a session of each; returns their ids, which some adapters choose themselves. */
async function seedThrough(adapter) {
    const userIds = [];
    await each(64, USERS, async (n) => {
        const { id } = await adapter.createUser(user(n));
        await adapter.createSession(session(seededToken(n), id));
        userIds[n] = id;
    });
    return userIds;
}

/** Every contender gives the same answers before it is measured. */
async function check(adapter) {
    const found = await adapter.getSessionAndUser(seededToken(7));
    assert.equal(found.session.expires.getTime(), EXPIRES.getTime());
    assert.equal(found.user.emailVerified.getTime(), 7);
    assert.equal(await adapter.getSessionAndUser("unknown"), null);
}

/** Calls per second, with so many callers that each wait for their answer. */
async function measure({ adapter, userIds }, call, inFlight) {
    const start = performance.now();
    let calls = 0;
    const caller = async () => {
        while (performance.now() - start < SLICE_MS) {
            await call(adapter, userIds);
            calls += 1;
        }
    };
    await Promise.all(Array.from({ length: inFlight }, caller));
    return (calls / (performance.now() - start)) * 1000;
}

async function each(inFlight, count, work) {
    let next = 0;
    const worker = async () => {
        while (next < count) await work(next++);
    };
    await Promise.all(Array.from({ length: inFlight }, worker));
}

function print(contenders, fsyncMs) {
    const head = columns().map(([call, inFlight]) => `${call}, ${inFlight} in flight`);
    console.log(row(["adapter", "in", ...head]));
    console.log(row(["---", "---", ...head.map(() => "--:")]));
    for (const { name, where, rates } of contenders) {
        console.log(row([name, where, ...[...rates.values()].map((rate) => calls(median(rate)))]));
    }
    for (const where of [FILE, MEMORY]) {
        const [own, ...others] = contenders.filter((contender) => contender.where === where);
        for (const other of others) {
            const ratios = [...own.rates].map(([column, rate]) =>
                median(rate.map((r, n) => r / other.rates.get(column)[n])),
            );
            console.log(
                row([
                    `authkv ÷ ${other.name}`,
                    where,
                    ...ratios.map((ratio) => `${ratio < 10 ? ratio.toFixed(1) : ratio.toFixed(0)}×`),
                ]),
            );
        }
    }
    const version = (name) =>
        JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url))).version;
    const packages = [
        "authkv",
        "@auth/drizzle-adapter",
        "better-sqlite3",
        "@auth/sequelize-adapter",
        "sqlite3",
        "@auth/unstorage-adapter",
    ];
    console.log(`
Calls per second; ${USERS.toLocaleString("en")} users, random ones of them; median of ${ROUNDS} rounds of ${SLICE_MS} ms.
${cpus().length} × ${cpus()[0].model.trim()}, ${platform()} ${release()} ${arch()}, Node ${process.version}; one append and
fdatasync takes ${fsyncMs.toFixed(2)} ms here. ${packages.map((name) => `${name} ${version(name)}`).join(", ")}.`);
}

/** How long the disk takes for the smallest durable write there is. */
function measureSync(folder) {
    const file = openSync(join(folder, "probe"), "a");
    const times = Array.from({ length: 200 }, () => {
        const start = performance.now();
        writeSync(file, Buffer.alloc(4096, 1));
        fdatasyncSync(file);
        return performance.now() - start;
    });
    closeSync(file);
    return median(times);
}

function columns() {
    return Object.keys(CALLS).flatMap((call) => IN_FLIGHT.map((inFlight) => [call, inFlight]));
}

function remember(rates, column, rate) {
    rates.set(column, [...(rates.get(column) ?? []), rate]);
}

function shuffled(list) {
    return list
        .map((item) => [Math.random(), item])
        .sort(([a], [b]) => a - b)
        .map(([, item]) => item);
}

function median(numbers) {
    return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];
}

function calls(rate) {
    return Number(rate.toPrecision(3)).toLocaleString("en");
}

function row(cells) {
    return `| ${cells.join(" | ")} |`;
}
