export * from "./types.js";
export { RedbAdapter as default } from "./types.js";
