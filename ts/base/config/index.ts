/** Configuration: schema, TOML and variables, errors that name the place, the commented file. */
export { type HostPort, isLoopback, isNamePort, joinHostPort, splitHostPort } from './address.js';
export { nearest } from './locate.js';
export { type ConfigSource, flatten, type LoadedConfig, parseConfig } from './parse.js';
export { renderConfig } from './render.js';
export { type Config, isBootstrap, KEYS, LOG_LEVELS, ROLES, Schema, variableOf } from './schema.js';
