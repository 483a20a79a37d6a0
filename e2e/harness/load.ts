import type { House } from './house.ts';

export interface LoadResult {
  total: number;
  bodies: string[];
  failures: string[];
}

/** Callers that never pause, each on a fresh connection; every answer that is not 2xx is a failure. */
export function startLoad(house: House, paths: string[], callers: number): { stop(): Promise<LoadResult> } {
  const result: LoadResult = { total: 0, bodies: [], failures: [] };
  let over = false;
  const caller = async (path: string) => {
    while (!over) {
      result.total++;
      try {
        const answer = await house.call(path);
        if (answer.status >= 200 && answer.status < 300) result.bodies.push(answer.body);
        else result.failures.push(`${answer.status} ${answer.body.slice(0, 200)}`);
      } catch (error) {
        result.failures.push(String(error));
      }
    }
  };
  const running = Array.from({ length: callers }, (_, index) => caller(paths[index % paths.length] ?? '/'));
  return {
    async stop() {
      over = true;
      await Promise.all(running);
      return result;
    },
  };
}
