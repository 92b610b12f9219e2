#!/usr/bin/env bash
# oauth4webapi 3.8.8: what it returns of a token response is not what the provider sent. The token type is in lower case, and
# an expires_in that is a text is a number; a fraction of a second stays.
# Seen: "Bearer" is "bearer", "3600" is 3600, 3599.5 is 3599.5, and a list of scopes is an error.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund oauth4webapi@3.8.8

cat >program.mjs <<'PROGRAM'
import * as oauth from "oauth4webapi";

const server = { issuer: "https://id.example.com", token_endpoint: "https://id.example.com/token" };
const headers = { "content-type": "application/json" };
for (const more of [{ expires_in: "3600" }, { expires_in: 3599.5 }, { scope: ["read", "write"] }]) {
    const sent = { access_token: "a", token_type: "Bearer", ...more };
    try {
        const response = new Response(JSON.stringify(sent), { headers });
        const got = await oauth.processAuthorizationCodeResponse(server, { client_id: "c" }, response);
        console.log(JSON.stringify({ token_type: got.token_type, expires_in: got.expires_in }));
    } catch (error) {
        console.log(`${error.code}: ${error.message}`);
    }
}
PROGRAM

expected=$(
    cat <<'SEEN'
{"token_type":"bearer","expires_in":3600}
{"token_type":"bearer","expires_in":3599.5}
OAUTH_INVALID_RESPONSE: "response" body "scope" property must be a string
SEEN
)
seen=$(node program.mjs)
if [ "$seen" != "$expected" ]; then
    printf 'expected:\n%s\nseen:\n%s\n' "$expected" "$seen" >&2
    exit 1
fi
printf '%s\n' "$seen"
