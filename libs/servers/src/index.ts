export { type DataFolderLock, lockDataFolder } from './data-folder-lock.ts';
export { freePort, PortTakenError } from './free-port.ts';
export { type NatsOptions, startNats } from './nats-server.ts';
export { type PostgresOptions, type RunningPostgres, startPostgres } from './postgres.ts';
export type { RunningServer, ServerExit } from './running-server.ts';
export { ServerError } from './server-error.ts';
export { supervise, type Supervised, type SuperviseOptions } from './supervise.ts';
