import { setTimeout as pause } from 'node:timers/promises';

import {
  DeploymentProgress,
  packSource,
  paint,
  renderDuration,
  renderFailure,
  renderWaterfall,
  type Client,
  type Deployment,
  type Span,
  type Style,
} from '#client';
import { errorCodes } from '#contracts';

import { callByName, type Answer } from './demo-call.ts';

/** The example's own name, and whom it greets. */
const functionName = 'echo-name';
const path = '/echo-name';
const body = { name: 'Ada' };

export interface Stage {
  client: Client;
  /** Where the gateway listens. */
  gateway: string;
  domain: string;
  /** Folder of the example. */
  source: string;
  /** Its function.yaml with the variables put in. */
  manifest: string;
  style: Style;
  live: boolean;
  write: (text: string) => void;
  signal: AbortSignal;
}

/** What the demo proves, as `--json` prints it. */
export interface DemoReport {
  deploymentId: string;
  state: Deployment['state'];
  steps: { name: string; state: string; ms: number | null }[];
  url: string | null;
  status: number | null;
  body: string | null;
  traceId: string | null;
  spans: Span[];
  calls: { url: string; status: number; body: string; ms: number; traceId: string | null; spans: Span[] }[];
  error: Deployment['error'];
}

/** Deploys the example, calls it by hostname and by path, and shows both traces. */
export async function playDemo(stage: Stage): Promise<DemoReport> {
  const say = (text = '') => stage.write(`${text}\n`);
  const { driver, reason, warning } = await stage.client.getDriver();
  say(`functions run ${driver === 'docker' ? 'in containers' : 'as processes'}: ${reason}`);
  if (warning) say(paint(warning, 'yellow', stage.style));
  say(paint(`\nDeploying ${functionName} from examples/${functionName}`, 'bold', stage.style));
  const deployment = await deployExample(stage);
  const report: DemoReport = {
    deploymentId: deployment.id,
    state: deployment.state,
    steps: deployment.steps.map(({ name, state, ms }) => ({ name, state, ms })),
    url: deployment.url,
    status: null,
    body: null,
    traceId: deployment.traceId,
    spans: [],
    calls: [],
    error: deployment.error,
  };
  if (deployment.error) {
    say(renderFailure(deployment.error, errorCodes[deployment.error.code].help, stage.style));
  }
  if (deployment.state !== 'live') return report;

  say(`  ${paint('live', 'green', stage.style)} at ${paint(deployment.url ?? '', 'bold', stage.style)}`);
  const host = `${functionName}.${stage.domain}`;
  say(paint('\nCalling it', 'bold', stage.style));
  for (const call of [{ path, host }, { path: `/function/${functionName}` }]) {
    const answer = await callByName({ gateway: stage.gateway, body, ...call });
    const url =
      'host' in call && call.host
        ? withHost(stage.gateway, call.host) + call.path
        : stage.gateway + call.path;
    say(`  POST ${url} ${JSON.stringify(body)}`);
    say(`    ${tellAnswer(answer, stage.style)}`);
    report.calls.push({ url, ...answer, spans: [] });
  }
  report.status = report.calls[0]?.status ?? null;
  report.body = report.calls[0]?.body ?? null;

  report.spans = await settledTrace(stage, report.traceId);
  say(paint('\nThe deployment, every hop', 'bold', stage.style));
  say(renderWaterfall(report.spans, stage.style));
  for (const call of report.calls) call.spans = await settledTrace(stage, call.traceId);
  say(paint('\nThe call, every hop', 'bold', stage.style));
  say(renderWaterfall(report.calls[0]?.spans ?? [], stage.style));
  return report;
}

/** What to try while the platform stays up. */
export function nextSteps(stage: Pick<Stage, 'gateway' | 'domain' | 'style'>, report: DemoReport): string {
  const host = `${functionName}.${stage.domain}`;
  const { port } = new URL(stage.gateway);
  return [
    paint('\nIt stays up until Ctrl-C. In another terminal, in this folder, try:', 'bold', stage.style),
    `  curl -d '{"name":"Grace"}' -H 'content-type: application/json' ${stage.gateway}/function/${functionName}`,
    `  curl -d '{"name":"Grace"}' -H 'content-type: application/json' --resolve ${host}:${port}:127.0.0.1 http://${host}:${port}${path}`,
    `  npx cestx list`,
    `  npx cestx logs -f ${functionName}`,
    ...(report.calls[0]?.traceId ? [`  npx cestx trace ${report.calls[0].traceId}`] : []),
    `  npx cestx deploy examples/${functionName}`,
    `  npx cestx remove ${functionName}`,
  ]
    .map((line) => (line.includes('npx cestx') ? withUrl(line, stage.gateway) : line))
    .join('\n');
}

async function deployExample(stage: Stage): Promise<Deployment> {
  const { archive } = await packSource(stage.source);
  const { deploymentId } = await stage.client.deployFunction({ source: archive, manifest: stage.manifest });
  const progress = new DeploymentProgress({ write: stage.write, style: stage.style, live: stage.live });
  try {
    let last: Deployment | null = null;
    for await (const deployment of stage.client.followDeployment(deploymentId, { signal: stage.signal })) {
      progress.show(deployment);
      last = deployment;
    }
    return last ?? (await stage.client.getDeployment(deploymentId));
  } finally {
    progress.end();
  }
}

function tellAnswer(answer: Answer, style: Style): string {
  const good = answer.status >= 200 && answer.status < 300;
  const status = paint(String(answer.status), good ? 'green' : 'red', style);
  return `${status} ${paint(answer.body.trim(), 'bold', style)} after ${renderDuration(answer.ms)}`;
}

/** Spans come in by and by; a trace that has not grown for a moment is whole. */
async function settledTrace(stage: Stage, traceId: string | null): Promise<Span[]> {
  if (traceId === null) return [];
  let spans: Span[] = [];
  for (let quiet = 0, tries = 0; quiet < 3 && tries < 30 && !stage.signal.aborted; tries++) {
    const found = await stage.client.getTrace(traceId).catch(() => null);
    quiet = found && found.spans.length > 0 && found.spans.length === spans.length ? quiet + 1 : 0;
    spans = found?.spans ?? spans;
    if (quiet < 3) await pause(200);
  }
  return spans;
}

function withHost(gateway: string, host: string): string {
  const url = new URL(gateway);
  url.hostname = host;
  return url.origin;
}

/** Commands name the gateway only where it is not the one they would find by themselves. */
function withUrl(command: string, gateway: string): string {
  return new URL(gateway).port === '8080' ? command : `${command} --url ${gateway}`;
}
