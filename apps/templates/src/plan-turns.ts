/** Someone who waits for a turn. */
export interface Waiting {
  readonly project: string;
  readonly content: string;
}

/**
 * The order in which those who wait would get their turns: one of each project in rotation, the project whose last turn is
 * longest ago first, and within a project in the order in which they came.
 */
export function planTurns<W extends Waiting>(
  waiting: readonly W[],
  lastTurns: ReadonlyMap<string, number>,
): W[] {
  const queues = [...Map.groupBy(waiting, ({ project }) => project)].toSorted(
    ([a], [b]) => (lastTurns.get(a) ?? 0) - (lastTurns.get(b) ?? 0),
  );
  const longest = Math.max(0, ...queues.map(([, queue]) => queue.length));
  return Array.from({ length: longest }, (_, round) =>
    queues.flatMap(([, queue]) => queue.slice(round, round + 1)),
  ).flat();
}
