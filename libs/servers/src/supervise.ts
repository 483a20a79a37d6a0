import { waitAtMost } from './child-server.ts';
import type { RunningServer, ServerExit } from './running-server.ts';

const longestPauseMs = 10_000;
/** A server that ran this long had a good start; its next death is the first again. */
const goodRunMs = 60_000;

export interface SuperviseOptions<T extends RunningServer> {
  name: string;
  /** Called with the port to use: first the wished one, then, for restarts, the one it had. */
  start: (port: number) => Promise<T>;
  port?: number;
  /** The server died and was not asked to. */
  onExit?: (exit: ServerExit) => void;
  /** It runs again on the same port and data. */
  onRestart?: (server: T) => void;
  /** A try to start it again failed; the next one follows after `pauseMs`. */
  onRestartFailed?: (error: unknown, pauseMs: number) => void;
}

export interface Supervised<T extends RunningServer> {
  /** The present child, or the last one while it is being started again. */
  readonly server: T;
  readonly url: string;
  readonly state: 'running' | 'restarting' | 'stopping' | 'stopped';
  stop(): Promise<void>;
}

/** Keeps a server up: when the child dies without being asked to, it is started again on the same port and data. */
export async function supervise<T extends RunningServer>(
  options: SuperviseOptions<T>,
): Promise<Supervised<T>> {
  let server = await options.start(options.port ?? 0);
  let state: Supervised<T>['state'] = 'running';
  const stopAsked = Promise.withResolvers<void>();
  // Read anew after every wait: stop() may have been called meanwhile.
  const stopping = (): boolean => state === 'stopping';

  /** The first restart is at once, for the rooms are waiting; then the pauses double. */
  const pauseAfter = (failures: number): number =>
    failures === 0 ? 0 : Math.min(50 * 2 ** failures, longestPauseMs);

  const watch = async (): Promise<void> => {
    for (let failures = 0; ;) {
      const since = Date.now();
      const exit = await server.exited;
      if (stopping()) return;
      state = 'restarting';
      options.onExit?.(exit);
      if (Date.now() - since > goodRunMs) failures = 0;
      for (let dead = true; dead; failures += 1) {
        await waitAtMost(pauseAfter(failures), stopAsked.promise);
        if (stopping()) return;
        try {
          server = await options.start(server.port);
          dead = false;
        } catch (error) {
          options.onRestartFailed?.(error, pauseAfter(failures + 1));
        }
      }
      if (stopping()) return;
      state = 'running';
      options.onRestart?.(server);
    }
  };
  const watching = watch();

  return {
    get server() {
      return server;
    },
    get url() {
      return server.url;
    },
    get state() {
      return state;
    },
    async stop() {
      if (state === 'stopped') return;
      state = 'stopping';
      stopAsked.resolve();
      await server.stop();
      await watching;
      // A start that was under way when we were asked to stop has made a new child.
      await server.stop();
      state = 'stopped';
    },
  };
}
