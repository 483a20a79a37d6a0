import { portOf, type Readiness } from './wait-until-ready.ts';

/** One sentence about why a program cannot serve, for the one who wrote it. `fixedPort` is what every machine gets, if any. */
export function explainNotReady(
  readiness: Exclude<Readiness, { kind: 'ready' }>,
  { fixedPort, startup }: { fixedPort: number | null; startup: number },
): string {
  const port = fixedPort ?? (readiness.address ? portOf(readiness.address) : null);
  const wanted = port === null ? '$PORT' : `$PORT (${port})`;
  const time = `${startup / 1000} s`;
  switch (readiness.kind) {
    case 'exited':
      return `The program ${readiness.exit?.reason ?? 'ended'} before it listened on ${wanted}.`;
    case 'unhealthy':
      return readiness.status === null
        ? `The program listens, but GET ${readiness.path} did not answer within ${time}.`
        : `The program listens, but GET ${readiness.path} still answered ${readiness.status} after ${time}; a 2xx is needed.`;
    case 'silent': {
      if (readiness.listeners === null) return `The program did not listen on ${wanted} within ${time}.`;
      if (readiness.listeners.length === 0)
        return `The program listened on no port within ${time}; it must listen on ${wanted}.`;
      if (readiness.listeners.some((listener) => listener.port === port && !listener.reachable))
        return `The program listens on 127.0.0.1:${port}, where nobody can reach it; it must listen on 0.0.0.0:${port}.`;
      const others = [...new Set(readiness.listeners.map((listener) => listener.port))].join(' and ');
      return `The program listens on ${others} instead of ${port ?? '$PORT'}; it must listen on the port in $PORT.`;
    }
  }
}
