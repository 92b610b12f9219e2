// Puts the addon that was built two levels up beside the copy of the package in this example. A package from the
// registry brings a prebuilt one, and an application needs nothing like this.

import { copyFileSync } from "node:fs";

copyFileSync(new URL("../../authkv.node", import.meta.url), new URL("node_modules/authkv/authkv.node", import.meta.url));
