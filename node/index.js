"use strict";

const { AuthKvError } = require("./lib/errors.js");
const { RedbAdapter, Store, open } = require("./lib/store.js");

// `require("authkv")` is the adapter function, and `import` compiled to `require` finds its default there too.
module.exports = Object.assign(RedbAdapter, { RedbAdapter, default: RedbAdapter, AuthKvError, Store, open });
Object.defineProperty(RedbAdapter, "__esModule", { value: true });
