import authkv from "./index.js";

export const { AuthKvError, RedbAdapter, Store, open } = authkv;
export default RedbAdapter;
