// What `npm run build -- --wasm` generates; here so that what imports it can be compiled without it.
export * from './pkg/wayfare.js';
export { default } from './pkg/wayfare.js';
