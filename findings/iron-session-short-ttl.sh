#!/usr/bin/env bash
# iron-session 8.0.4: the cookie's Max-Age is the ttl less 60 seconds, so a session of a minute or less is a cookie that
# the browser drops at once. The sealed data itself is accepted for a minute longer than the ttl.
# Seen: ttl 3600 gives Max-Age 3540, ttl 60 gives 0, ttl 30 gives -30; no error and no warning.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund iron-session@8.0.4

cat >program.mjs <<'PROGRAM'
import { getIronSession } from "iron-session";

for (const ttl of [3600, 60, 30]) {
    const cookies = {
        get: () => undefined,
        set: (_name, _value, options) => console.log(`ttl ${ttl}: Max-Age ${options.maxAge}`),
    };
    const session = await getIronSession(cookies, { password: "x".repeat(32), cookieName: "session", ttl });
    session.user = "ada";
    await session.save();
}
PROGRAM

expected=$(
    cat <<'SEEN'
ttl 3600: Max-Age 3540
ttl 60: Max-Age 0
ttl 30: Max-Age -30
SEEN
)
seen=$(node program.mjs)
if [ "$seen" != "$expected" ]; then
    printf 'expected:\n%s\nseen:\n%s\n' "$expected" "$seen" >&2
    exit 1
fi
printf '%s\n' "$seen"
