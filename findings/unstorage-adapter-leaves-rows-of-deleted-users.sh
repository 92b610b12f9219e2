#!/usr/bin/env bash
# @auth/unstorage-adapter 2.11.2 on unstorage 1.17.6, memory driver: deleteUser removes the rows of the account and the session
# that were made last and leaves those of the earlier ones, because a user has one place that names each. A user without an
# account, as after signing in by e-mail, is deleted too, but the call is rejected.
# Seen: of three sessions, the rows of two are still in the storage, and no method finds them; "Invalid key: null".
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund @auth/unstorage-adapter@2.11.2 unstorage@1.17.6

cat >program.mjs <<'PROGRAM'
import { UnstorageAdapter } from "@auth/unstorage-adapter";
import { createStorage } from "unstorage";

const storage = createStorage();
const adapter = UnstorageAdapter(storage);
const { id } = await adapter.createUser({ name: "Ada", email: "ada@example.com", emailVerified: null });
await adapter.linkAccount({ userId: id, type: "oauth", provider: "github", providerAccountId: "7" });
const expires = new Date(Date.now() + 3_600_000);
for (const sessionToken of ["first", "second", "third"]) {
    await adapter.createSession({ sessionToken, userId: id, expires });
}
await adapter.deleteUser(id);
console.log((await storage.getKeys()).sort().join("\n"));
console.log(`found: ${JSON.stringify(await adapter.getSessionAndUser("first"))}`);

const bob = await adapter.createUser({ name: "Bob", email: "bob@example.com", emailVerified: new Date() });
const deleted = await adapter.deleteUser(bob.id).then(() => "deleted", (error) => error.message);
console.log(`without an account: ${deleted}; the user is ${(await adapter.getUser(bob.id)) ? "there" : "gone"}`);
PROGRAM

expected=$(
    cat <<'SEEN'
user:session:first
user:session:second
found: null
without an account: [unstorage] Invalid key: null; the user is gone
SEEN
)
seen=$(node program.mjs)
if [ "$seen" != "$expected" ]; then
    printf 'expected:\n%s\nseen:\n%s\n' "$expected" "$seen" >&2
    exit 1
fi
printf '%s\n' "$seen"
