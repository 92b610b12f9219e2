// What a TypeScript application with ES modules writes. It is compiled, not run.

import type { Adapter, AdapterSession, AdapterUser, VerificationToken } from "@auth/core/adapters";
import type { AuthConfig } from "@auth/core";

import RedbAdapter, {
    AuthKvError,
    open,
    type CheckReport,
    type ErrorCode,
    type Purged,
    type Stats,
    type Store,
} from "authkv";

export const config = { adapter: RedbAdapter("auth.redb"), providers: [] } satisfies AuthConfig;
export const inMemory: Adapter = RedbAdapter.inMemory();
export const withOptions: Adapter = RedbAdapter(new URL("file:///auth.redb"), {
    synchronize: false,
    durability: "deferred",
    emailMatching: "exact",
    cacheBytes: 64 << 20,
    verify: true,
    secureDelete: true,
});

// @ts-expect-error: no such option
RedbAdapter("auth.redb", { durabilty: "full" });
// @ts-expect-error: no such durability
RedbAdapter("auth.redb", { durability: "none" });

const store: Store = await open(":memory:", { durability: "full" });
export const adapter: Adapter = RedbAdapter(store);
export const same: Adapter = store.adapter;

// @ts-expect-error: the options belong to `open`
RedbAdapter(store, { verify: true });

// Every function is there: none of these needs a check for `undefined`.
const user: AdapterUser = await store.adapter.createUser({ id: "ada", email: "ada@example.com", emailVerified: null });
const found: { session: AdapterSession; user: AdapterUser } | null = await store.adapter.getSessionAndUser("a-secret");
const token: VerificationToken | null = await store.findVerificationToken({ identifier: user.id, token: "a-secret" });
const purged: Purged = await store.purgeExpired();
const report: CheckReport = await store.check();
const stats: Stats = await store.stats();
await store.synchronize();
await store.close();
export const results = [found, token, purged, report, stats.cleanedFields];

export function codeOf(error: unknown): ErrorCode | undefined {
    return error instanceof AuthKvError && error.field === "email" ? error.code : undefined;
}
