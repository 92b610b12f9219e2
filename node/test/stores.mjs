// What the tests share: stores to run on, and records to put into them.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { open } from "authkv";

/** The path of a file that is not there yet, in a folder that is removed after the test. */
export function freshPath(t) {
    const folder = mkdtempSync(join(tmpdir(), "authkv-"));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    return join(folder, "auth.redb");
}

/** A test that runs on a file and in memory, each time followed by a check of the whole store. */
export function onEachStore(name, run, options) {
    for (const kind of ["file", "memory"]) {
        test(`${name} (${kind})`, async (t) => {
            const store = await open(kind === "file" ? freshPath(t) : ":memory:", options);
            try {
                await run(store.adapter, store, t);
                const { isSound, problems } = await store.check();
                assert.ok(isSound, problems.join("\n"));
            } finally {
                await store.close();
            }
        });
    }
}

export const packageFolder = dirname(dirname(fileURLToPath(import.meta.url)));

/** Runs a module in another process, which has the package and `path`. */
export function inChild(code, path) {
    const preamble = 'import RedbAdapter, { open } from "authkv"; const path = process.argv[1];';
    const args = ["--input-type=module", "--eval", `${preamble} ${code}`, path];
    return promisify(execFile)(process.execPath, args, { cwd: packageFolder });
}

/** How many calls race. */
export const PARALLEL = 32;

/** The outcomes of calls that are made at the same time. */
export async function race(calls) {
    const outcomes = await Promise.allSettled(calls.map((call) => call()));
    const values = outcomes.filter(({ status }) => status === "fulfilled").map(({ value }) => value);
    const codes = outcomes.filter(({ status }) => status === "rejected").map(({ reason }) => reason.code);
    return { values, codes };
}

/** The same call many times over. */
export const times = (call, count = PARALLEL) => Array.from({ length: count }, (_, place) => () => call(place));

export const soon = (ms = 86_400_000) => new Date(Date.now() + ms);
export const past = () => new Date(Date.now() - 1_000);

export const newUser = (id, fields) => ({ id, email: `${id}@example.com`, emailVerified: null, ...fields });
export const newSession = (sessionToken, userId, fields) => ({ sessionToken, userId, expires: soon(), ...fields });
export const newToken = (identifier, token, fields) => ({ identifier, token, expires: soon(), ...fields });

export const newAccount = (userId, providerAccountId, fields) => ({
    userId,
    type: "oauth",
    provider: "github",
    providerAccountId,
    ...fields,
});

export const newAuthenticator = (credentialID, userId, fields) => ({
    credentialID,
    userId,
    providerAccountId: credentialID,
    credentialPublicKey: "cHVibGlj",
    counter: 0,
    credentialDeviceType: "multiDevice",
    credentialBackedUp: true,
    ...fields,
});

/** Rejects with this code, and this field if one is named. */
export function rejects(promise, code, field) {
    return assert.rejects(promise, (error) => {
        assert.ok(error instanceof Error);
        assert.equal(error.code, code, error.stack);
        if (field !== undefined) assert.equal(error.field, field, error.stack);
        return true;
    });
}
