import { expect, test } from 'vitest';

import type { Deployment } from '#client';

import { removeAndWait } from './harness/deploy.ts';
import { inEachHouse } from './harness/each-house.ts';
import { helloSource, nodeApp, uniqueName } from './harness/sample-apps.ts';

inEachHouse('deployment events', (house) => {
  test('every step is seen beginning and ending, live and in order, and the stream ends with the deployment', async () => {
    const name = uniqueName('events');
    const { deploymentId } = await house().client.deployFunction({
      source: await nodeApp(name, helloSource()),
    });
    const answer = await fetch(`${house().url}/v1/deployments/${deploymentId}/events`, {
      headers: { authorization: `Bearer ${house().key}`, accept: 'text/event-stream' },
    });
    expect(answer.headers.get('content-type')).toMatch(/^text\/event-stream/);
    const text = await answer.text();
    const seen = text
      .split('\n')
      .filter((line) => line.startsWith('data:'))
      .map((line) => JSON.parse(line.slice(5)) as Deployment);
    expect(seen.at(-1)?.state).toBe('live');
    const done = seen.map((deployment) => deployment.steps.filter((step) => step.state === 'done').length);
    expect(done).toEqual([...done].sort((a, b) => a - b));
    expect(seen.some((deployment) => deployment.steps.some((step) => step.state === 'running'))).toBe(true);
    await removeAndWait(house(), name);
  });

  test('the stream of a deployment that has ended gives its last state and ends', async () => {
    const name = uniqueName('events-late');
    const { deploymentId } = await house().client.deployFunction({
      source: await nodeApp(name, helloSource()),
    });
    for await (const _ of house().client.followDeployment(deploymentId));
    const states: string[] = [];
    for await (const deployment of house().client.followDeployment(deploymentId))
      states.push(deployment.state);
    expect(states).toEqual(['live']);
    await removeAndWait(house(), name);
  });
});
