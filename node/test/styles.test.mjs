// The style sheets of the examples. Whoever copies an example takes its folder alone, so each has a sheet of its own.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { packageFolder } from "./stores.mjs";

const SHEETS = ["express/public/style.css", "next/app/style.css"];

test("the style sheets of the examples differ only in their last parts", () => {
    const [shared, ...others] = SHEETS.map((path) => {
        const parts = readFileSync(join(packageFolder, "examples", path), "utf8").split("/* Only in this example. */");
        assert.equal(parts.length, 2, `${path} has one last part of its own`);
        return parts[0];
    });
    for (const other of others) assert.equal(other, shared);
});
