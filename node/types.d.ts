import type { Adapter, VerificationToken } from "@auth/core/adapters";

/** How a store is opened. */
export interface Options {
    /**
     * Whether opening creates missing tables; `true` by default. When it is off and a table is missing, calls reject
     * with `MISSING_TABLE` until `store.synchronize()` is called.
     */
    synchronize?: boolean | undefined;
    /**
     * When a write is acknowledged: `"full"`, when it is on the disk; `"deferred"`, earlier, so that a power cut may
     * lose the last moments. `"full"` by default.
     */
    durability?: "full" | "deferred" | undefined;
    /**
     * When two e-mail addresses are the same; `"ascii-case-insensitive"` by default. It becomes part of the file when
     * that is made.
     */
    emailMatching?: "ascii-case-insensitive" | "exact" | undefined;
    /** How much memory may be used for pages of the file, in bytes; 32 MiB by default. */
    cacheBytes?: number | undefined;
    /** Whether opening compares every page of the file with its checksum; `false` by default. */
    verify?: boolean | undefined;
    /**
     * Whether what is removed or replaced is also overwritten in the file, a moment later and when the file is closed;
     * `false` by default. Writes wait for parts of it: up to three seconds in a file of 75 MiB.
     */
    secureDelete?: boolean | undefined;
}

/**
 * The functions that Auth.js calls; each of them is there. Where `updateUser` changes `email`, it clears `emailVerified`
 * unless the same call sets that to another `Date` than the stored one.
 */
export type RedbAdapter = Required<Adapter>;

/** How many expired records were removed. */
export interface Purged {
    sessions: number;
    verificationTokens: number;
    /**
     * How many entries of the index by expiry were dropped because their record is missing or damaged. Nothing else of
     * such a record is removed; `check()` says more.
     */
    damaged: number;
    /** True if more may have expired: call again. */
    more: boolean;
}

/** Counters of a store since it was opened in this process. */
export interface Stats {
    /** How many sessions were found in the store's cache of decoded sessions. */
    hotSessionHits: number;
    /** How many sessions were looked up in the tables, whether they exist or not. */
    hotSessionMisses: number;
    /** How many fields `linkAccount` and `createAuthenticator` left out or changed because they could not be stored as given. */
    cleanedFields: number;
}

/** A session as it is listed: without its token, which the store does not know. It has its own fields besides. */
export interface SessionInfo {
    id: string;
    userId: string;
    created: Date;
    /** When its expiry was last set. */
    extended: Date;
    expires: Date;
    [ownField: string]: unknown;
}

/** A page of a list. */
export interface Page<T> {
    items: T[];
    /** Where the next page starts; null if there are no more items. */
    next: string | null;
}

/** What a check of the whole store found. */
export interface CheckReport {
    isSound: boolean;
    users: number;
    accounts: number;
    sessions: number;
    verificationTokens: number;
    authenticators: number;
    /** Records of deleted users that wait to be removed; no function sees them. */
    waitingToBeSwept: number;
    problemCount: number;
    /** What the first 100 problems are, without anything secret. */
    problems: string[];
}

/** A handle on an open store. It is made by `open`. */
export declare class Store {
    private constructor();

    /** The functions that Auth.js calls. */
    readonly adapter: RedbAdapter;

    /** Reads a verification token without using it up, for tests and support. It may have expired. */
    findVerificationToken(token: { identifier: string; token: string }): Promise<VerificationToken | null>;

    /**
     * A page of the valid sessions of a user, the oldest first, without their tokens. `after` is the `next` of the
     * previous page, and `limit` a number from 1 to 1,000, which is the default.
     *
     * At most 5,000 sessions are read for a page, expired ones included; behind so many it ends, and may have fewer
     * sessions, or none, although there are more. Go on while `next` is not null.
     */
    listSessions(
        userId: string,
        options?: { after?: string | null | undefined; limit?: number | undefined },
    ): Promise<Page<SessionInfo>>;

    /**
     * Moves the signature counter of an authenticator from the value with which an assertion was verified to that of
     * the assertion. True to one caller; false, with nothing changed, if the counter has another value or `to` is not
     * greater. From 0 to 0, as of authenticators that do not count, it is true to everybody. Rejects with
     * `UNKNOWN_CREDENTIAL`.
     */
    advanceCounter(credentialID: string, from: number, to: number): Promise<boolean>;

    /**
     * Ends a session of a user by its id, as somebody does who sees it in a list. Returns the session that ended, or
     * null if this user has no such session.
     */
    endSession(userId: string, id: string): Promise<SessionInfo | null>;

    /**
     * Ends the sessions of a user, all but the one with the id `except` if that is given. Returns how many it ended.
     * Rejects with `UNKNOWN_SESSION`, and ends none, if the user has no session `except`.
     */
    endSessions(userId: string, except?: string): Promise<number>;

    /**
     * Removes sessions and verification tokens that have expired, a few hundred at most, and returns how many. Call it
     * now and then, and again while there is `more`.
     */
    purgeExpired(): Promise<Purged>;

    /** Counters since the store was opened in this process. */
    stats(): Promise<Stats>;

    /** Creates the tables that are missing. */
    synchronize(): Promise<void>;

    /** Reads the whole store and compares every index with the records, on another thread. */
    check(): Promise<CheckReport>;

    /**
     * Carries out the writes that were accepted and closes this handle; the file is closed with its last handle in the
     * process. Later calls on it and on its adapter reject with `CLOSED`.
     */
    close(): Promise<void>;
}

/** Why a call failed. The message contains no token, address or record. */
export declare class AuthKvError extends Error {
    readonly code: ErrorCode;
    /** The field, own field or option that is at fault, where there is one. */
    readonly field?: string;
}

export type ErrorCode =
    | "BUSY"
    | "CLOSED"
    | "CONFLICT"
    | "CONFLICT_ACCOUNT"
    | "CONFLICT_ACCOUNT_ID"
    | "CONFLICT_CREDENTIAL_ID"
    | "CONFLICT_EMAIL"
    | "CONFLICT_FIELD"
    | "CONFLICT_SESSION_ID"
    | "CONFLICT_SESSION_TOKEN"
    | "CONFLICT_USER_ID"
    | "INVALID_ARGUMENT"
    | "LOCKED"
    | "MISSING_TABLE"
    | "NEWER_FORMAT"
    | "NOT_REDB"
    | "OPEN_FAILED"
    | "OTHER_EMAIL_MATCHING"
    | "OTHER_MODELS"
    | "OTHER_OPTIONS"
    | "OUTCOME_UNKNOWN"
    | "READ_ONLY"
    | "STORAGE"
    | "UNKNOWN_CREDENTIAL"
    | "UNKNOWN_SESSION"
    | "UNKNOWN_USER";

export interface RedbAdapterFunction {
    /**
     * The adapter for Auth.js, on a store that is open or on a file, which is opened at once and made if there is none.
     * A file that is open in this process already is the same store.
     */
    (path: string | URL, options?: Options): RedbAdapter;
    (store: Store): RedbAdapter;

    /** The adapter on a new store in memory. */
    inMemory(options?: Options): RedbAdapter;
}

export declare const RedbAdapter: RedbAdapterFunction;

/** Opens a store without holding up the JavaScript thread; `":memory:"` is one in memory. */
export declare function open(path: string | URL, options?: Options): Promise<Store>;
