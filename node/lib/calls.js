// Calls to the addon. An answer is there at once, or comes later under the ticket of its call.

"use strict";

const { setInterval } = require("node:timers");

const native = require("./native.js");
const { decode } = require("./decode.js");

/** The calls that wait for their answers, by ticket. Each keeps its store from being collected. */
const waiting = new Map();
let ticket = 0;

/** Keeps the process alive while calls wait; it does nothing else. */
const alive = setInterval(() => {}, 0x7fffffff).unref();

const answers = new native.Answers((answered, answer) => {
    const call = waiting.get(answered);
    if (call === undefined || answer === "") return;
    waiting.delete(answered);
    if (waiting.size === 0) alive.unref();
    call.settle(answer);
});

/** Calls a method of the addon's store. Returns what it answers, or a promise of that. */
function call(store, method, ...args) {
    ticket = (ticket + 1) >>> 0;
    const answer = store[method](ticket, ...args);
    return answer === null ? later(ticket, store) : decode(answer);
}

function later(ticket, store) {
    if (waiting.size === 0) alive.ref();
    return new Promise((resolve, reject) => {
        const settle = (answer) => {
            try {
                resolve(decode(answer));
            } catch (error) {
                reject(error);
            }
        };
        waiting.set(ticket, { store, settle });
    });
}

module.exports = { answers, call };
