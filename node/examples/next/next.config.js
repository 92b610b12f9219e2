export default {
    serverExternalPackages: ["authkv"], // a native addon is loaded, not bundled
    turbopack: { root: import.meta.dirname }, // this folder is the project, although folders above it have lock files
};
