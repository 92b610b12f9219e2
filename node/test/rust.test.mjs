// Files that a Rust application made: its fields are fields, and its indexes hold.

import assert from "node:assert/strict";
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { open } from "authkv";

import { freshPath, packageFolder, rejects } from "./stores.mjs";

const golden = (name) => join(packageFolder, "..", "tests", "golden", name);
const UUID = "0193e7a4-5d1c-7c3a-9f00-0123456789ab";

test("a file without own fields is read", async (t) => {
    const path = freshPath(t);
    copyFileSync(golden("format-1.redb"), path);
    const store = await open(path);
    assert.deepEqual(await store.adapter.getUserByEmail("ada@example.com"), {
        id: UUID,
        name: "Ada Lovelace 👩‍💻",
        email: "Ada@Example.com",
        emailVerified: new Date(-1),
        image: "https://example.com/ada.png",
    });
    const account = await store.adapter.getAccount(583_231, "github");
    assert.deepEqual(
        { ...account, id: "" },
        {
            id: "",
            userId: UUID,
            type: "oauth",
            provider: "github",
            providerAccountId: "583231",
            access_token: "gho_access",
            refresh_token: "refresh",
            id_token: "a.b.c",
            expires_at: 1_735_736_400,
            token_type: "bearer",
            scope: "read:user",
            session_state: "state",
        },
    );
    assert.ok((await store.check()).isSound);
    await store.close();
});

test("own fields of a Rust application are read, and its unique indexes hold", async (t) => {
    const path = freshPath(t);
    copyFileSync(golden("format-1-models.redb"), path);
    const store = await open(path);
    const user = await store.adapter.getUser("ada");
    assert.equal(user.phoneNumber, "+44 20 7946 0001");
    assert.equal(user.balance, -1);
    // An integer that is larger than those that a Number can tell apart.
    assert.equal(user.logins, 2 ** 64);
    const { phoneNumber } = user;
    await rejects(store.adapter.createUser({ phoneNumber, logins: 1, balance: 1 }), "CONFLICT_FIELD", "phoneNumber");
    await rejects(store.adapter.createUser({ phoneNumber: 1.5 }), "INVALID_ARGUMENT", "phoneNumber");
    assert.ok((await store.check()).isSound);
    await store.close();
});
