//! The tables and statements of both SQLite peers: the schema of Auth.js with the columns and indexes that authkv also
//! has. As in authkv, ids take 16 bytes and tokens are hashed.

/// The settings of a connection: every commit is synced, and the page cache is as large as authkv's.
pub const PRAGMAS: [(&str, &str); 4] =
    [("journal_mode", "WAL"), ("synchronous", "FULL"), ("foreign_keys", "ON"), ("cache_size", "-32768")];

/// How long a writer waits for another connection's transaction, in milliseconds.
pub const BUSY_MS: u32 = 60_000;

pub const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS users (
    id BLOB PRIMARY KEY NOT NULL,
    name TEXT,
    email TEXT UNIQUE,
    email_verified INTEGER,
    image TEXT,
    created INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS accounts (
    id BLOB PRIMARY KEY NOT NULL,
    user_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    type TEXT NOT NULL,
    provider TEXT NOT NULL,
    provider_account_id TEXT NOT NULL,
    access_token TEXT,
    refresh_token TEXT,
    id_token TEXT,
    expires_at INTEGER,
    token_type TEXT,
    scope TEXT,
    session_state TEXT,
    created INTEGER NOT NULL,
    UNIQUE (provider, provider_account_id)
);
CREATE INDEX IF NOT EXISTS accounts_by_user ON accounts (user_id);
CREATE TABLE IF NOT EXISTS sessions (
    id BLOB PRIMARY KEY NOT NULL,
    token_hash BLOB NOT NULL UNIQUE,
    user_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    expires INTEGER NOT NULL,
    created INTEGER NOT NULL,
    extended INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS sessions_by_user ON sessions (user_id);
CREATE INDEX IF NOT EXISTS sessions_by_expiry ON sessions (expires);
CREATE TABLE IF NOT EXISTS verification_tokens (
    token_hash BLOB NOT NULL,
    identifier TEXT NOT NULL,
    expires INTEGER NOT NULL,
    created INTEGER NOT NULL,
    PRIMARY KEY (token_hash, identifier)
);
CREATE INDEX IF NOT EXISTS verification_tokens_by_expiry ON verification_tokens (expires);
";

pub const SESSION_AND_USER: &str = "
SELECT s.id, s.user_id, s.expires, u.name, u.email, u.email_verified, u.image
FROM sessions s JOIN users u ON u.id = s.user_id
WHERE s.token_hash = ?1 AND s.expires >= ?2";

pub const USER_BY_EMAIL: &str = "SELECT id, name, email, email_verified, image FROM users WHERE email = ?1";

pub const CREATE_USER: &str =
    "INSERT INTO users (id, name, email, email_verified, image, created) VALUES (?1, ?2, ?3, NULL, ?4, ?5)";

pub const LINK_ACCOUNT: &str = "
INSERT INTO accounts
    (id, user_id, type, provider, provider_account_id, access_token, token_type, scope, created)
VALUES (?1, ?2, 'oauth', ?3, ?4, ?5, 'bearer', 'read:user,user:email', ?6)";

pub const CREATE_SESSION: &str = "
INSERT INTO sessions (id, token_hash, user_id, expires, created, extended) VALUES (?1, ?2, ?3, ?4, ?5, ?5)";

pub const EXTEND_SESSION: &str =
    "UPDATE sessions SET expires = ?1, extended = ?2 WHERE token_hash = ?3 AND expires >= ?2";

pub const CREATE_TOKEN: &str =
    "INSERT INTO verification_tokens (token_hash, identifier, expires, created) VALUES (?1, ?2, ?3, ?4)";

pub const USE_TOKEN: &str =
    "DELETE FROM verification_tokens WHERE token_hash = ?1 AND identifier = ?2 RETURNING expires";

pub const DELETE_USER: &str = "DELETE FROM users WHERE id = ?1";
