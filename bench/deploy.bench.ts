import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

import { packSource, type Client } from '#client';
import { dockerMissing, languageImageAvailable, languageImages } from '#testing';

import { startAllInOne } from './all-in-one.ts';
import { median, report } from './report.ts';

/** An example and the Dockerfile that a careful person would write for it by hand. */
interface Sample {
  language: 'node' | 'python' | 'go';
  name: string;
  /** The file that changes, and how a comment begins in it. */
  code: readonly [string, string];
  dockerfile: string;
  turns: number;
}

const samples: Sample[] = [
  {
    language: 'node',
    name: 'echo-name',
    code: ['server.js', '//'],
    dockerfile: `FROM ${languageImages.node}
WORKDIR /app
COPY package*.json ./
RUN npm ci --omit=dev --no-audit --no-fund
COPY . .
CMD ["node", "server.js"]
`,
    turns: 7,
  },
  {
    language: 'python',
    name: 'echo-name-python',
    code: ['app.py', '#'],
    dockerfile: `FROM ${languageImages.python}
WORKDIR /app
USER root
COPY requirements.txt ./
RUN python -m venv /venv && /venv/bin/pip install -r requirements.txt
COPY . .
USER 65534
CMD ["sh", "-c", "exec /venv/bin/gunicorn --bind 0.0.0.0:$PORT app:app"]
`,
    turns: 7,
  },
  {
    language: 'go',
    name: 'echo-name-go',
    code: ['main.go', '//'],
    dockerfile: `FROM ${languageImages.go}
WORKDIR /app
USER root
COPY go.mod ./
RUN go mod download
COPY . .
RUN go build -o /bin/app .
CMD ["/bin/app"]
`,
    // Nothing keeps the compiler's cache between builds by hand: the standard library is compiled each time.
    turns: 3,
  },
];

const run = promisify(execFile);
const missing = dockerMissing();
if (missing) {
  process.stdout.write(`deploy of changed code: skipped, ${missing}\n`);
  process.exit();
}

const folder = await mkdtemp(join(tmpdir(), 'cestx-bench-'));
const platform = await startAllInOne(join(folder, 'data'), 'docker');
try {
  for (const sample of samples) {
    if (languageImageAvailable(sample.language)) await measure(sample);
    else
      process.stdout.write(`deploy of changed ${sample.language} code: skipped, no image (npm run images)\n`);
  }
} finally {
  for (const { name } of samples) await platform.client.removeFunction(name).catch(() => undefined);
  await sleep(3000);
  await platform.stop();
  await rm(folder, { recursive: true, force: true });
}

async function measure(sample: Sample): Promise<void> {
  const source = join(folder, sample.name);
  await cp(join(import.meta.dirname, '../examples', sample.name), source, {
    recursive: true,
    filter: (path) => !path.includes('node_modules'),
  });
  const [file, comment] = sample.code;
  const code = await readFile(join(source, file), 'utf8');
  const byHand: number[] = [];
  const byCestx: number[] = [];
  for (let turn = 0; turn <= sample.turns; turn++) {
    await writeFile(join(source, file), `${code}\n${comment} ${turn}\n`);
    const hand = await deployByHand(sample, source, turn);
    const cestx = await deployByCestx(platform.client, sample, source);
    // The first turn of both installs the dependencies.
    if (turn > 0) {
      byHand.push(hand);
      byCestx.push(cestx);
    }
  }
  const bound = median(byHand);
  const value = median(byCestx);
  report({
    name: `changed ${sample.language} code to 200`,
    value,
    unit: 'ms',
    bound,
    gate: '<= 1.3 x docker build + run',
    met: value <= 1.3 * bound,
  });
}

/** Milliseconds of `docker build` and `docker run` until the program answers. */
async function deployByHand(sample: Sample, source: string, turn: number): Promise<number> {
  const context = join(folder, `${sample.name}-by-hand`);
  await cp(source, context, { recursive: true });
  let recipe = sample.dockerfile;
  const authority = process.env['CESTX_BUILD_CA_FILE'];
  if (authority) {
    await cp(authority, join(context, 'ca.crt'));
    const trust = 'NODE_EXTRA_CA_CERTS=/tmp/ca.crt PIP_CERT=/tmp/ca.crt SSL_CERT_FILE=/tmp/ca.crt';
    recipe = recipe.replace('RUN ', `COPY ca.crt /tmp/ca.crt\nENV ${trust}\nRUN `);
  }
  await writeFile(join(context, 'Dockerfile'), recipe);
  const image = `cestx-bench-${sample.language}`;
  const started = performance.now();
  await run('docker', ['build', '-q', '-t', image, context]);
  const name = `${image}-${turn}`;
  await run('docker', ['run', '-d', '--name', name, '-e', 'PORT=8080', image]);
  const { stdout } = await run('docker', ['inspect', '-f', '{{.NetworkSettings.IPAddress}}', name]);
  await untilAnswered(`http://${stdout.trim()}:8080/echo-name`);
  const ms = performance.now() - started;
  await run('docker', ['rm', '-f', name]);
  return ms;
}

/** Milliseconds from the upload until the gateway answers with the new revision. */
async function deployByCestx(client: Client, { name }: Sample, source: string): Promise<number> {
  const { archive } = await packSource(source);
  const started = performance.now();
  const { deploymentId } = await client.deployFunction({ source: archive });
  for await (const deployment of client.followDeployment(deploymentId)) {
    if (deployment.state === 'failed') throw new Error(`deploy of ${name}: ${deployment.error?.message}`);
    if (deployment.steps.some((step) => step.name === 'make-live' && step.state === 'done')) break;
  }
  await untilAnswered(`${platform.url}/function/${name}/echo-name`);
  return performance.now() - started;
}

async function untilAnswered(url: string): Promise<void> {
  const body = JSON.stringify({ name: 'Ada' });
  for (;;) {
    const answer = await fetch(url, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json' },
    }).catch(() => null);
    if (answer?.status === 200) return;
    await sleep(2);
  }
}
