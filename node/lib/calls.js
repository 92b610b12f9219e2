// Calls to the addon: the answer is there at once, or comes later by its ticket.

"use strict";

const { setInterval } = require("node:timers");

const native = require("./native.js");
const { decode } = require("./decode.js");

/** The calls whose answers come later, by their tickets. They hold on to their stores. */
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

/** The result of a method of the addon's store. It may be a promise. */
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
