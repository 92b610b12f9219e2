// Values that no field can have, and objects that are no records.

export const cyclic = { name: "cyclic" };
cyclic.self = cyclic;
const cyclicList = [];
cyclicList.push(cyclicList);
/** Small, and 2^30 lists when it is written out. */
const explosive = Array.from({ length: 30 }).reduce((inner) => [inner, inner], []);

export const throwing = (object) =>
    Object.defineProperty(object, "boom", {
        enumerable: true,
        get: () => {
            throw "boom";
        },
    });
const trap = () => {
    throw new Error("a trap was called");
};
export const hostile = () =>
    new Proxy({}, { get: trap, ownKeys: trap, getPrototypeOf: trap, has: trap, getOwnPropertyDescriptor: trap });
export const revoked = () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    return proxy;
};
const endless = () => new Proxy([], { get: (_, name) => (name === "length" ? Infinity : 1) });

export class User {
    name = "Ada";
}

/** Values that no field can have. */
export const GARBAGE = {
    function: () => "x",
    class: User,
    symbol: Symbol("x"),
    bigint: 1n,
    notANumber: Number.NaN,
    infinite: -Infinity,
    invalidDate: new Date(Number.NaN),
    dateTooLate: new Date(8.64e15),
    dateTooEarly: new Date(-8.64e15),
    instance: new User(),
    map: new Map([["a", 1]]),
    bytes: new Uint8Array(4),
    url: new URL("https://example.com"),
    pattern: /x/,
    error: new Error("x"),
    promise: Promise.resolve(),
    boxed: new String("x"),
    inherited: Object.create({ a: 1 }),
    cyclic,
    cyclicList,
    explosive,
    hole: [, 1],
    undefinedItem: [undefined],
    getter: throwing({}),
    proxy: hostile(),
    revoked: revoked(),
    endless: endless(),
    toJSON: { toJSON: () => "x" },
    halfOfAPair: "\ud800",
    halfInAName: { "\udfff": 1 },
    long: "x".repeat(1_000_000),
    longList: new Array(1_000_000).fill(0),
};
