// What a TypeScript application with CommonJS modules writes. It is compiled, not run.

import type { Adapter } from "@auth/core/adapters" with { "resolution-mode": "import" };

import RedbAdapter, { open } from "authkv";
import authkv = require("authkv");

export const adapters: Adapter[] = [
    RedbAdapter("auth.redb"),
    authkv.default.inMemory(),
    authkv.RedbAdapter(":memory:"),
];
export const opening: Promise<authkv.Store> = open("auth.redb");
