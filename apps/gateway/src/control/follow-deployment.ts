import { CestxError, DeploymentChanged, GetDeployment, type Deployment } from '#contracts';
import type { Messenger } from '#messaging';

const stepRank = { pending: 0, running: 1, done: 2, failed: 3, undoing: 4, undone: 5 } as const;
const stateRank = { pending: 0, running: 1, undoing: 2, live: 3, removed: 3, failed: 3 } as const;
/** Milliseconds of silence after which the state is read again, in case a live event was missed. */
const reread = 3000;

/**
 * The state given, then each later one, up to the last. Live events are quick but may be missed while a link breaks;
 * reading the state now and then is sure. What is not further than what was told already is left out.
 */
export async function* followDeployment(
  messenger: Pick<Messenger, 'ask' | 'subscribe'>,
  first: Deployment,
  signal: AbortSignal,
  beat: () => Promise<void>,
): AsyncGenerator<Deployment> {
  const heard: Deployment[] = [];
  let wake = () => {};
  const stop = messenger.subscribe(DeploymentChanged, first.id, (deployment) => {
    heard.push(deployment);
    wake();
  });
  const onAbort = () => wake();
  signal.addEventListener('abort', onAbort);
  try {
    let told = first;
    yield first;
    // A change between the first reading and the subscription is caught by this one.
    let due = true;
    while (!isOver(told) && !signal.aborted) {
      if (due) heard.push(...(await readAgain(messenger, first.id)));
      const next = heard.shift();
      if (next) {
        due = false;
        if (progressOf(next) <= progressOf(told)) continue;
        told = next;
        yield next;
        continue;
      }
      await beat();
      if (heard.length > 0 || signal.aborted) continue;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, reread);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      due = heard.length === 0;
    }
  } finally {
    stop();
    signal.removeEventListener('abort', onAbort);
  }
}

function isOver(deployment: Deployment): boolean {
  return stateRank[deployment.state] === 3;
}

/** Grows with each change of a deployment. */
export function progressOf(deployment: Deployment): number {
  const steps = deployment.steps.reduce((sum, step) => sum + stepRank[step.state], 0);
  return stateRank[deployment.state] * 1000 + steps;
}

/** The room may be starting again; its silence is not the end of the deployment. */
async function readAgain(messenger: Pick<Messenger, 'ask'>, id: string): Promise<Deployment[]> {
  try {
    return [await messenger.ask(GetDeployment, { id })];
  } catch (error) {
    if (error instanceof CestxError && error.code === 'unavailable') return [];
    throw error;
  }
}
