// The errors that calls reject with.

"use strict";

/** Has a stable `code`, and `field` where one field or option is at fault. */
class AuthKvError extends Error {
    constructor(code, message, field) {
        super(message);
        this.code = code;
        if (field !== undefined) this.field = field;
    }
}

Object.defineProperty(AuthKvError.prototype, "name", { value: "AuthKvError", configurable: true, writable: true });

function invalid(field, problem) {
    const shown = field.length > 80 ? `${field.slice(0, 80)}…` : field;
    return new AuthKvError("INVALID_ARGUMENT", `${shown} ${problem}`, field);
}

module.exports = { AuthKvError, invalid };
