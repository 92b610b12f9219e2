// The name of the platform that an addon is built for, as napi-rs packages spell it.

"use strict";

/** For example `linux-x64-gnu`, `darwin-arm64`, `win32-x64-msvc`. */
function platform() {
    const { platform, arch } = process;
    switch (platform) {
        case "linux":
            return `linux-${arch}-${isMusl() ? "musl" : "gnu"}`;
        case "win32":
            return `win32-${arch}-msvc`;
        default:
            return `${platform}-${arch}`;
    }
}

function isMusl() {
    const report = process.report.getReport();
    return !report.header.glibcVersionRuntime;
}

module.exports = { platform };
