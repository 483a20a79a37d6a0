import {
  api,
  type Accepted,
  type ApiCall,
  type Capacity,
  type DeadLetter,
  type Deployment,
  type DriverChoice,
  type FunctionDescription,
  type LogLine,
} from './generated.ts';
import type {
  Machine,
  MachineSample,
  PlatformHealth,
  RevisionDescription,
  Sbom,
  Route,
  ScaleDecision,
  Trace,
  Template,
  Trigger,
} from './generated.ts';
import { ProblemError, problemFrom } from './problem-error.ts';
import { readEvents, readLines } from './read-stream.ts';

export interface ClientOptions {
  /** `http://localhost:8080` */
  url: string;
  /** The key of control calls; calls to functions need none. */
  key?: string | undefined;
  project?: string | undefined;
}

export interface List<T> {
  items: T[];
  nextCursor: string | null;
}

export interface LogsQuery {
  follow?: boolean | undefined;
  /** ISO time, or a duration back from now such as `5m`. */
  since?: string | undefined;
  tail?: number | undefined;
  machine?: string | undefined;
  signal?: AbortSignal | undefined;
}

export interface StatsQuery {
  /** ISO time, or a duration back from now such as `5m`. */
  since?: string | undefined;
  /** The newest samples at most. */
  limit?: number | undefined;
}

/** A CloudEvent in the JSON format. */
export interface EventToPublish {
  specversion: '1.0';
  id: string;
  source: string;
  type: string;
  data?: unknown;
  [attribute: string]: unknown;
}

/** Which dead letters: those that match everything named. */
export interface DeadLetterQuery {
  id?: string | undefined;
  function?: string | undefined;
  reason?: DeadLetter['reason'] | undefined;
}

export interface Invocation {
  /** The path the function sees; `/` when left out. */
  path?: string | undefined;
  /** POST when there is a body, else GET. */
  method?: string | undefined;
  body?: string | Uint8Array | undefined;
  headers?: Record<string, string> | undefined;
  signal?: AbortSignal | undefined;
}

export type ScaleChange = Parameters<typeof api.changeScale>[1];

export interface GitSource {
  /** The https address of a repository that anybody may read. */
  git: string;
  /** A branch, a tag or a whole commit hash. */
  ref?: string | undefined;
  folder?: string | undefined;
  /** What the function is called, where there is no function.yaml. */
  name?: string | undefined;
}

export interface Client {
  listFunctions(page?: { limit?: number; cursor?: string }): Promise<List<FunctionDescription>>;
  getFunction(name: string): Promise<FunctionDescription>;
  listRevisions(name: string, page?: { limit?: number; cursor?: string }): Promise<List<RevisionDescription>>;
  /** `source` is a tar.gz or zip; the manifest is function.yaml's text, else it is read from the source. */
  deployFunction(upload: { source: Uint8Array | Blob; manifest?: string | undefined }): Promise<Accepted>;
  /** The source is what a git repository has at `ref`, or a folder of it. */
  deployFromGit(from: GitSource): Promise<Accepted>;
  removeFunction(name: string): Promise<Accepted>;
  listTemplates(): Promise<List<Template>>;
  getTemplate(name: string): Promise<Template>;
  /** `source` is a folder with template.yaml, Dockerfile and sample/, packed; its check is under way when this resolves. */
  createTemplate(upload: { source: Uint8Array | Blob }): Promise<Template>;
  updateTemplate(name: string, upload: { source: Uint8Array | Blob }): Promise<Template>;
  deleteTemplate(name: string): Promise<Template>;
  /** Changes what is given of how a live function scales and rests; durations as in a manifest, `30s`. */
  changeScale(name: string, change: ScaleChange): Promise<Accepted>;
  /** Why it has as many machines as it has, the newest decision first. */
  listScaleDecisions(name: string, page?: { limit?: number }): Promise<List<ScaleDecision>>;
  getDeployment(id: string): Promise<Deployment>;
  /** What the build of a deployment is made of, as CycloneDX. */
  getSbom(id: string): Promise<Sbom>;
  /** Has a deployment that is not live yet undone; one that is live, has ended or is a removal is left alone. */
  cancelDeployment(id: string): Promise<Accepted>;
  /** The present state at once, then each change; ends after the last state. Reconnects by itself. */
  followDeployment(id: string, options?: { signal?: AbortSignal }): AsyncIterable<Deployment>;
  logs(name: string, query?: LogsQuery): AsyncIterable<LogLine>;
  getTrace(traceId: string): Promise<Trace>;
  listMachines(filter?: { function?: string; limit?: number; cursor?: string }): Promise<List<Machine>>;
  getMachine(id: string): Promise<Machine>;
  /** Another tier, now; resolves once it is there. A call brings one that rests back at any time. */
  moveMachine(id: string, verb: 'start' | 'stop' | 'freeze' | 'thaw'): Promise<Machine>;
  /** Resolves once it is gone; its function gets another one when it is called. */
  removeMachine(id: string): Promise<Machine>;
  /** Resolves the instant it is in the state; a problem `wait-timeout` when it is not within `timeout`, such as `30s`. */
  waitForMachine(id: string, wanted: { state: Machine['state']; timeout?: string }): Promise<Machine>;
  machineStats(id: string, query?: StatsQuery): Promise<List<MachineSample>>;
  /** The kept samples, then each new one; ends when the machine is gone. Reconnects by itself. */
  followMachineStats(id: string, query?: StatsQuery & { signal?: AbortSignal }): AsyncIterable<MachineSample>;
  getCapacity(): Promise<Capacity>;
  listRoutes(): Promise<List<Route>>;
  /** What functions run on, and why. */
  getDriver(): Promise<DriverChoice>;
  /** Resolves once the broker has stored all of them; one with the source and id of one before is stored once. */
  publishEvents(events: EventToPublish[]): Promise<{ items: { id: string; subject: string }[] }>;
  listTriggers(filter?: { function?: string | undefined }): Promise<List<Trigger>>;
  /** Its events wait until it is resumed; ticks of a schedule are left out. */
  pauseTrigger(functionName: string, trigger: string): Promise<{ paused: boolean }>;
  resumeTrigger(functionName: string, trigger: string): Promise<{ paused: boolean }>;
  /** When a schedule would be due, the next five times. */
  previewSchedule(schedule: string, timezone?: string): Promise<{ items: string[] }>;
  listDeadLetters(query?: DeadLetterQuery & { limit?: number; cursor?: string }): Promise<List<DeadLetter>>;
  getDeadLetter(id: string): Promise<DeadLetter & { headers: Record<string, string>; dataBase64: string }>;
  /** Resolves once the order is stored. */
  redriveDeadLetters(
    query: DeadLetterQuery & { perSecond?: number | undefined },
  ): Promise<{ accepted: true }>;
  purgeDeadLetters(query: DeadLetterQuery): Promise<{ purged: number }>;
  /** The function's own answer, whatever its status; headers carry `x-call-id`, `x-duration-seconds`, `traceparent`. */
  invoke(name: string, invocation?: Invocation): Promise<Response>;
  /** What `/readyz` says, whether it answered 200 or 503. */
  health(): Promise<PlatformHealth>;
}

/** Milliseconds a broken stream is tried again before its end is believed. */
const patience = 30_000;

export function createClient(options: ClientOptions): Client {
  const base = options.url.replace(/\/+$/, '');
  const { key, project } = options;
  const inProject = project ? { project } : {};

  async function open(
    path: string,
    init: RequestInit & { query?: ApiCall<unknown>['query'] } = {},
  ): Promise<Response> {
    const { query = {}, ...rest } = init;
    const search = new URLSearchParams();
    for (const [name, value] of Object.entries(query))
      if (value !== undefined) search.set(name, String(value));
    const address = `${base}${path}${search.size > 0 ? `?${search}` : ''}`;
    try {
      return await fetch(address, rest);
    } catch (error) {
      if (rest.signal?.aborted) throw error;
      const detail = `No gateway answers at ${base}.`;
      throw new ProblemError({ code: 'unreachable', status: 0, detail }, { cause: error });
    }
  }

  async function control(call: ApiCall<unknown>, init: RequestInit = {}): Promise<Response> {
    const { method, query, body } = call;
    const headers = {
      ...(init.headers as object),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(key ? { authorization: `Bearer ${key}` } : {}),
    };
    const json = body === undefined ? {} : { body: JSON.stringify(body) };
    const answer = await open(call.path, { ...init, ...json, method, query, headers });
    if (!answer.ok) throw await problemFrom(answer);
    return answer;
  }

  async function read<Answer>(call: ApiCall<Answer>, init?: RequestInit): Promise<Answer> {
    return (await (await control(call, init)).json()) as Answer;
  }

  /** Runs `stream` again when it breaks, until it says it is over or nothing came for too long. */
  async function* again<T>(
    stream: () => AsyncIterable<T>,
    isOver: () => boolean,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<T> {
    let brokenSince: number | undefined;
    let opened = false;
    for (;;) {
      try {
        for await (const item of stream()) {
          opened = true;
          brokenSince = undefined;
          yield item;
        }
        if (isOver()) return;
      } catch (error) {
        const refused = error instanceof ProblemError && error.status !== 0 && error.status < 500;
        if (signal?.aborted || refused || !opened) throw error;
        if (brokenSince !== undefined && Date.now() - brokenSince > patience) throw error;
      }
      brokenSince ??= Date.now();
      signal?.throwIfAborted();
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
  }

  return {
    listFunctions: (page) => read(api.listFunctions({ ...inProject, ...page })),
    getFunction: (name) => read(api.getFunction(name, inProject)),
    listRevisions: (name, page) => read(api.listRevisions(name, { ...inProject, ...page })),
    removeFunction: (name) => read(api.removeFunction(name, inProject)),
    changeScale: (name, change) => read(api.changeScale(name, change, inProject)),
    listScaleDecisions: (name, page) => read(api.listScaleDecisions(name, { ...inProject, ...page })),
    getDeployment: (id) => read(api.getDeployment(id)),
    getSbom: (id) => read(api.getSbom(id)),
    cancelDeployment: (id) => read(api.cancelDeployment(id)),
    getTrace: (traceId) => read(api.getTrace(traceId)),
    listMachines: (filter) => read(api.listMachines({ ...inProject, ...filter })),
    getMachine: (id) => read(api.getMachine(id)),
    moveMachine: (id, verb) => read(api[`${verb}Machine`](id)),
    removeMachine: (id) => read(api.removeMachine(id)),
    waitForMachine: (id, wanted) => read(api.waitForMachine(id, wanted)),
    machineStats: (id, query) => read(api.getMachineStats(id, query)),
    getCapacity: () => read(api.getCapacity()),
    listRoutes: () => read(api.listRoutes(inProject)),
    getDriver: () => read(api.getDriver()),
    publishEvents: (events) =>
      read(api.publishEvents(inProject), {
        headers: { 'content-type': 'application/cloudevents-batch+json' },
        body: JSON.stringify(events),
      }),
    listTriggers: (filter) => read(api.listTriggers({ ...inProject, ...filter })),
    pauseTrigger: (name, trigger) => read(api.pauseTrigger(name, trigger, inProject)),
    resumeTrigger: (name, trigger) => read(api.resumeTrigger(name, trigger, inProject)),
    previewSchedule: (schedule, timezone) => read(api.previewSchedule({ schedule, timezone })),
    listDeadLetters: (query) => read(api.listDeadLetters({ ...inProject, ...query })),
    getDeadLetter: (id) => read(api.getDeadLetter(id, inProject)),
    redriveDeadLetters: (query) => read(api.redriveDeadLetters({ ...inProject, ...query })),
    purgeDeadLetters: (query) => read(api.purgeDeadLetters({ ...inProject, ...query })),

    deployFunction({ source, manifest }) {
      const body = formOf(source);
      if (manifest !== undefined) body.set('manifest', manifest);
      return read(api.deployFunction(inProject), { body });
    },

    deployFromGit(from) {
      const body = new FormData();
      for (const [name, value] of Object.entries(from)) if (value !== undefined) body.set(name, value);
      return read(api.deployFunction(inProject), { body });
    },

    listTemplates: () => read(api.listTemplates(inProject)),
    getTemplate: (name) => read(api.getTemplate(name, inProject)),
    createTemplate: ({ source }) => read(api.createTemplate(inProject), { body: formOf(source) }),
    updateTemplate: (name, { source }) => read(api.updateTemplate(name, inProject), { body: formOf(source) }),
    deleteTemplate: (name) => read(api.deleteTemplate(name, inProject)),

    async *followDeployment(id, { signal } = {}) {
      let last: Deployment | undefined;
      const stream = async function* () {
        const headers = { accept: 'text/event-stream' };
        const answer = await control(api.followDeployment(id), { headers, ...(signal ? { signal } : {}) });
        for await (const { name, data } of readEvents(answer)) {
          if (name === 'deployment') yield JSON.parse(data) as Deployment;
        }
      };
      const isOver = () => last !== undefined && ['live', 'removed', 'failed'].includes(last.state);
      for await (const deployment of again(stream, isOver, signal)) {
        // A stream that was opened again begins with the present state.
        if (JSON.stringify(deployment) === JSON.stringify(last)) continue;
        last = deployment;
        yield deployment;
      }
    },

    async *followMachineStats(id, { signal, since, limit } = {}) {
      let last = '';
      let isOver = false;
      const stream = async function* () {
        const asked = last === '' ? { since, limit } : { since: last };
        const call = api.getMachineStats(id, { ...asked, follow: 'true' });
        for await (const line of readLines(await control(call, signal ? { signal } : {})))
          yield JSON.parse(line) as MachineSample;
        isOver = true;
      };
      for await (const sample of again(stream, () => isOver, signal)) {
        // A stream that was opened again begins with the sample it broke off at.
        if (sample.at === last) continue;
        last = sample.at;
        yield sample;
      }
    },

    async *logs(name, { signal, follow, ...query } = {}) {
      let after: string | undefined;
      const stream = async function* () {
        const asked = after === undefined ? query : { machine: query.machine, after };
        const call = api.getLogs(name, { ...inProject, ...asked, ...(follow ? { follow: 'true' } : {}) });
        for await (const line of readLines(await control(call, signal ? { signal } : {}))) {
          yield JSON.parse(line) as LogLine;
        }
      };
      const lines = follow ? again(stream, () => false, signal) : stream();
      for await (const line of lines) {
        after = line.cursor;
        yield line;
      }
    },

    invoke(name, { path = '/', method, body, headers, signal } = {}) {
      return open(`/function/${encodeURIComponent(name)}${path.startsWith('/') ? '' : '/'}${path}`, {
        method: method ?? (body === undefined ? 'GET' : 'POST'),
        headers: { ...headers, ...(project ? { 'x-cestx-project': project } : {}) },
        ...(body === undefined ? {} : { body: typeof body === 'string' ? body : new Uint8Array(body) }),
        ...(signal ? { signal } : {}),
      });
    },

    async health() {
      const { path } = api.getReadyz();
      const answer = await open(path);
      if (!answer.ok && answer.status !== 503) throw await problemFrom(answer);
      return (await answer.json()) as PlatformHealth;
    },
  };
}

function formOf(source: Uint8Array | Blob): FormData {
  const form = new FormData();
  form.set('source', source instanceof Blob ? source : new Blob([new Uint8Array(source)]), 'source');
  return form;
}
