// A software authenticator: what a security key or a phone does in WebAuthn, with ES256 keys and no attestation.

import { createHash, generateKeyPairSync, randomBytes, sign } from "node:crypto";

const USER_PRESENT = 0x01;
const USER_VERIFIED = 0x04;
const BACKUP_ELIGIBLE = 0x08;
const BACKED_UP = 0x10;
const ATTESTED = 0x40;

/** One device. `synced` is a passkey that the maker of the phone backs up; `counts` is whether it counts its uses. */
export class Authenticator {
    counter = 0;
    #credentials = new Map();

    constructor({ transports = ["internal"], synced = false, counts = true } = {}) {
        this.transports = transports;
        this.synced = synced;
        this.counts = counts;
    }

    get credentialIds() {
        return [...this.#credentials.keys()];
    }

    /** Another device with the same keys at this moment, as when somebody copied it. */
    clone() {
        const copy = new Authenticator(this);
        copy.counter = this.counter;
        copy.#credentials = new Map(this.#credentials);
        return copy;
    }

    /** navigator.credentials.create() */
    create(options, origin) {
        if (options.excludeCredentials?.some(({ id }) => this.#credentials.has(id))) {
            throw new Error("this device is registered already");
        }
        const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
        const id = randomBytes(32);
        this.#credentials.set(id.toString("base64url"), privateKey);

        const { x, y } = publicKey.export({ format: "jwk" });
        const key = new Map([
            [1, 2],
            [3, -7],
            [-1, 1],
            [-2, Buffer.from(x, "base64url")],
            [-3, Buffer.from(y, "base64url")],
        ]);
        const length = Buffer.alloc(2);
        length.writeUInt16BE(id.length);
        const attested = Buffer.concat([Buffer.alloc(16), length, id, cbor(key)]);
        const authData = Buffer.concat([this.#authenticatorData(options.rp.id, ATTESTED), attested]);

        return credential(id.toString("base64url"), {
            clientDataJSON: clientData("webauthn.create", options.challenge, origin),
            attestationObject: cbor(
                new Map([
                    ["fmt", "none"],
                    ["attStmt", new Map()],
                    ["authData", authData],
                ]),
            ).toString("base64url"),
            transports: this.transports,
        });
    }

    /** navigator.credentials.get() */
    get(options, origin) {
        const allowed = options.allowCredentials?.map(({ id }) => id) ?? this.credentialIds;
        const id = allowed.find((candidate) => this.#credentials.has(candidate));
        if (id === undefined) throw new Error("no credential of this device is allowed");

        const authenticatorData = this.#authenticatorData(options.rpId);
        const clientDataJSON = clientData("webauthn.get", options.challenge, origin);
        const hash = createHash("sha256").update(Buffer.from(clientDataJSON, "base64url")).digest();
        const signature = signed(Buffer.concat([authenticatorData, hash]), this.#credentials.get(id));

        return credential(id, {
            clientDataJSON,
            authenticatorData: authenticatorData.toString("base64url"),
            signature: signature.toString("base64url"),
        });
    }

    #authenticatorData(rpId, flags = 0) {
        if (this.counts) this.counter += 1;
        const counter = Buffer.alloc(4);
        counter.writeUInt32BE(this.counter);
        const backup = this.synced ? BACKUP_ELIGIBLE | BACKED_UP : 0;
        const all = Buffer.of(flags | USER_PRESENT | USER_VERIFIED | backup);
        return Buffer.concat([createHash("sha256").update(rpId).digest(), all, counter]);
    }
}

/**
 * Signs until both numbers of the signature have all of their 32 bytes. One in 130 has not, and @simplewebauthn/server 9,
 * which Auth.js asks for, refuses those although they are right.
 */
function signed(data, key) {
    for (;;) {
        const signature = sign("sha256", data, key);
        const r = signature.subarray(4, 4 + signature[3]);
        const s = signature.subarray(6 + signature[3]);
        if ([r, s].every((number) => number.length - (number[0] === 0 ? 1 : 0) === 32)) return signature;
    }
}

function credential(id, response) {
    return { id, rawId: id, type: "public-key", clientExtensionResults: {}, response };
}

function clientData(type, challenge, origin) {
    return Buffer.from(JSON.stringify({ type, challenge, origin, crossOrigin: false })).toString("base64url");
}

/** The little of CBOR that WebAuthn needs: integers, byte strings, texts and maps. */
function cbor(value) {
    if (typeof value === "number") return value < 0 ? head(1, -1 - value) : head(0, value);
    if (typeof value === "string") return Buffer.concat([head(3, Buffer.byteLength(value)), Buffer.from(value)]);
    if (Buffer.isBuffer(value)) return Buffer.concat([head(2, value.length), value]);
    return Buffer.concat([head(5, value.size), ...[...value].flat().map(cbor)]);
}

function head(major, length) {
    if (length < 24) return Buffer.of((major << 5) | length);
    if (length < 256) return Buffer.of((major << 5) | 24, length);
    return Buffer.of((major << 5) | 25, length >> 8, length & 255);
}
