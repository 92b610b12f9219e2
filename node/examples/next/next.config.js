import { resolve } from "node:path";

// Needed only here, where authkv is a link to the folder two levels up and not a package from the registry.
const root = resolve(import.meta.dirname, "../..");

export default {
    serverExternalPackages: ["authkv"], // a native addon is loaded, not bundled
    turbopack: { root },
    outputFileTracingRoot: root,
};
