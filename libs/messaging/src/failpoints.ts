import { CestxError } from '#contracts';

/** Where in a handler's life a test may break it. */
export type FailpointPlace = 'before-effect' | 'after-effect' | 'after-commit';

const active = new Map<string, 'kill' | 'fail'>();

/** Reads `start-machine:after-effect:kill,…`; used by tests of bad days only, and empty otherwise. */
export function setFailpoints(specification: string): void {
  active.clear();
  for (const entry of specification.split(',').filter(Boolean)) {
    const [durable = '', place = '', action] = entry.trim().split(':');
    if (action === 'kill' || action === 'fail') active.set(`${durable}:${place}`, action);
  }
}

/** Ends the process as SIGKILL would, or fails the handler for good, where a test asked for it. */
export function failpoint(durable: string, place: FailpointPlace): void {
  const action = active.get(`${durable}:${place}`);
  if (action === 'kill') process.kill(process.pid, 'SIGKILL');
  if (action === 'fail') throw new CestxError('internal', `Made to fail by a test at ${durable}, ${place}.`);
}
