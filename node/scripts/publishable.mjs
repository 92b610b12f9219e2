// Refuses to publish the package with the addon that was built here, which is for this platform only.

import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

if (existsSync(fileURLToPath(new URL("../authkv.node", import.meta.url)))) {
    console.error("authkv.node is for this platform only: remove it, and publish it with `npm run prebuild-package`");
    process.exit(1);
}
