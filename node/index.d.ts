export * from "./types";
export { RedbAdapter as default } from "./types";
