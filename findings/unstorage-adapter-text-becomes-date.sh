#!/usr/bin/env bash
# @auth/unstorage-adapter 2.11.2 on unstorage 1.17.6, memory driver: a text that looks like an instant comes back as a Date,
# whatever field it is in. The adapter stores JSON and turns every text of that form into a Date when it reads.
# Seen: a user's name "2024-01-01T00:00:00.000Z" is a Date afterwards; with one letter in front it stays a text.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund @auth/unstorage-adapter@2.11.2 unstorage@1.17.6

cat >program.mjs <<'PROGRAM'
import { UnstorageAdapter } from "@auth/unstorage-adapter";
import { createStorage } from "unstorage";

const adapter = UnstorageAdapter(createStorage());
for (const name of ["2024-01-01T00:00:00.000Z", "x2024-01-01T00:00:00.000Z"]) {
    const { id } = await adapter.createUser({ name, email: `${name}@example.com`, emailVerified: null });
    const found = (await adapter.getUser(id)).name;
    console.log(`${name}: ${found instanceof Date ? "a Date" : typeof found}`);
}
PROGRAM

expected=$(
    cat <<'SEEN'
2024-01-01T00:00:00.000Z: a Date
x2024-01-01T00:00:00.000Z: string
SEEN
)
seen=$(node program.mjs)
if [ "$seen" != "$expected" ]; then
    printf 'expected:\n%s\nseen:\n%s\n' "$expected" "$seen" >&2
    exit 1
fi
printf '%s\n' "$seen"
