// Made from the gateway's OpenAPI document by `node scripts/generate-client.ts`; not written by hand.

/** How a call is written; `Answer` is what a good answer holds. */
export interface ApiCall<Answer> {
  method: string;
  path: string;
  query: Record<string, string | number | boolean | undefined>;
  /** Sent as JSON. */
  body?: unknown;
  /** Never set; carries the type. */
  answer?: Answer;
}

export type Accepted = {
  deploymentId: string;
  function: string;
  statusUrl: string;
  eventsUrl: string;
  traceId: string | null;
};

export type Capacity = {
  memoryBytes: { total: number; used: number };
  cpu: { total: number; used: number };
  machines: { total: number; used: number };
  diskBytes: { total: number; used: number };
};

export type DeadLetter = {
  id: string;
  project: string;
  function: string;
  trigger: string | null;
  eventId: string;
  eventType: string;
  reason: 'rejected' | 'attempts-used-up' | 'too-old' | 'invalid-event' | 'loop';
  message: string;
  attempts: number;
  lastStatus: number | null;
  lastBody: string | null;
  subject: string;
  stream: string;
  sequence: number;
  traceId: string | null;
  receivedAt: string;
  diedAt: string;
};

export type DeadLetterList = { items: DeadLetter[]; nextCursor: string | null };

export type Deployment = {
  id: string;
  project: string;
  kind: 'deploy' | 'remove' | 'scale';
  function: string;
  revision: string | null;
  state: 'pending' | 'running' | 'live' | 'removed' | 'undoing' | 'failed';
  steps: Step[];
  error: DeploymentError | null;
  url: string | null;
  traceId: string | null;
  createdAt: string;
};

export type DeploymentError = {
  step: string;
  code:
    | 'bad-request'
    | 'invalid-manifest'
    | 'invalid-template'
    | 'invalid-archive'
    | 'unauthenticated'
    | 'not-found'
    | 'conflict'
    | 'invalid-event'
    | 'too-large'
    | 'busy'
    | 'build-failed'
    | 'start-failed'
    | 'no-capacity'
    | 'over-quota'
    | 'wait-timeout'
    | 'disk-full'
    | 'expired'
    | 'cancelled'
    | 'undone'
    | 'timed-out'
    | 'invalid-message'
    | 'no-driver'
    | 'function-unreachable'
    | 'function-timeout'
    | 'unavailable'
    | 'internal';
  message: string;
  lastLines: string[];
};

export type DriverChoice = { driver: 'docker' | 'process'; reason: string; warning: string | null };

export type EventFilter = {
  exact?: Record<string, string> | undefined;
  prefix?: Record<string, string> | undefined;
  suffix?: Record<string, string> | undefined;
  all?: EventFilter[] | undefined;
  any?: EventFilter[] | undefined;
  not?: EventFilter | undefined;
};

export type FunctionDescription = {
  project: string;
  name: string;
  revision: string | null;
  url: string | null;
  state: 'deploying' | 'live' | 'removing';
  template: string | null;
  scale: {
    min: number;
    max: number;
    metric: 'concurrency' | 'lag' | 'steps';
    target?: number | undefined;
    window: number;
    steps?: { from: number; machines: number }[] | undefined;
    scaleDown?: 'gradual' | 'whenEmpty' | undefined;
    freezeAfter: number;
    stopAfter: number;
    removeAfter: number;
    expiresAfter?: number | undefined;
  } | null;
  createdAt: string;
  updatedAt: string;
  lastDeploymentId: string;
};

export type FunctionList = { items: FunctionDescription[]; nextCursor: string | null };

export type LogLine = {
  name: string;
  revision: string | null;
  machine: string;
  stream: 'stdout' | 'stderr' | 'build';
  timestamp: string;
  text: string;
  callId?: string | undefined;
  traceId?: string | undefined;
  cursor: string;
};

export type Machine = {
  id: string;
  project: string;
  function: string;
  revision: string;
  driver: 'docker' | 'process';
  state: 'creating' | 'starting' | 'running' | 'frozen' | 'stopped' | 'failed' | 'removed';
  address: string | null;
  createdAt: string;
  since: string;
  reason: string | null;
  expiresAt: string | null;
};

export type MachineList = { items: Machine[]; nextCursor: string | null };

export type MachineSample = {
  machine: string;
  revision: string;
  at: string;
  cpuSeconds: number;
  cpu: number | null;
  memoryBytes: number;
  memoryLimitBytes: number;
  processes: number;
};

export type MachineSampleList = { items: MachineSample[]; nextCursor: string | null };

export type PlatformHealth = { ready: boolean; rooms: RoomHealth[] };

export type Problem = {
  type: string;
  title: string;
  status: number;
  code: string;
  detail: string;
  help: string;
  traceId?: string | undefined;
  lastLines?: string[] | undefined;
};

export type RevisionDescription = {
  revision: string;
  deploymentId: string;
  sourceDigest: string;
  template: string;
  templateVersion: number | null;
  state: 'live' | 'retired';
  createdAt: string;
};

export type RevisionList = { items: RevisionDescription[]; nextCursor: string | null };

export type RoomHealth = {
  room: 'gateway' | 'deployments' | 'templates' | 'machines' | 'routes' | 'logs' | 'scaler' | 'triggers';
  ready: boolean;
  checks: { name: string; ok: boolean; detail?: string | undefined }[];
};

export type Route = {
  project: string;
  function: string;
  host: string;
  traffic: { revision: string; percent: number }[];
};

export type RouteList = { items: Route[]; nextCursor: string | null };

export type ScaleDecision = {
  project: string;
  function: string;
  revision: string;
  from: number;
  to: number;
  metric: 'concurrency' | 'lag' | 'steps';
  value: number;
  panicValue: number;
  target: number;
  panic: boolean;
  reason: string;
  at: string;
  outcome: string | null;
};

export type ScaleDecisionList = { items: ScaleDecision[]; nextCursor: string | null };

export type Sbom = {
  bomFormat: 'CycloneDX';
  specVersion: string;
  components: { type: string; name: string; version: string; purl: string }[];
};

export type Span = {
  traceId: string;
  spanId: string;
  parentSpanId: string | null;
  service: string;
  name: string;
  kind: 'INTERNAL' | 'SERVER' | 'CLIENT' | 'PRODUCER' | 'CONSUMER';
  startTime: string;
  durationMs: number;
  status: 'UNSET' | 'OK' | 'ERROR';
  attributes: Record<string, string | number | boolean | unknown[]>;
};

export type Step = {
  name: string;
  state: 'pending' | 'running' | 'done' | 'failed' | 'undoing' | 'undone';
  startedAt: string | null;
  ms: number | null;
  error: DeploymentError | null;
};

export type Template = {
  name: string;
  description: string;
  args: Record<string, string | null>;
  detect: string[];
  health: { path?: string | undefined; startup?: number | undefined };
  project: string;
  builtIn: boolean;
  version: number | null;
  check: {
    version: number;
    state: 'checking' | 'ready' | 'refused';
    error: {
      code:
        | 'bad-request'
        | 'invalid-manifest'
        | 'invalid-template'
        | 'invalid-archive'
        | 'unauthenticated'
        | 'not-found'
        | 'conflict'
        | 'invalid-event'
        | 'too-large'
        | 'busy'
        | 'build-failed'
        | 'start-failed'
        | 'no-capacity'
        | 'over-quota'
        | 'wait-timeout'
        | 'disk-full'
        | 'expired'
        | 'cancelled'
        | 'undone'
        | 'timed-out'
        | 'invalid-message'
        | 'no-driver'
        | 'function-unreachable'
        | 'function-timeout'
        | 'unavailable'
        | 'internal';
      message: string;
      lastLines?: string[] | undefined;
    } | null;
    at: string;
  } | null;
  usedBy: string[];
};

export type TemplateList = { items: Template[]; nextCursor: string | null };

export type Trace = { traceId: string; spans: Span[] };

export type Trigger = {
  id: string;
  project: string;
  function: string;
  settings:
    | {
        kind: 'subject';
        subject: string[];
        id: string;
        deliver: 'all' | 'new' | { sequence: number } | { time: string };
        filter?: EventFilter | undefined;
        batch?: { size: number; within: number } | undefined;
        orderBy?: string | undefined;
      }
    | {
        kind: 'stream';
        stream: string;
        subject: string[];
        id: string;
        deliver: 'all' | 'new' | { sequence: number } | { time: string };
        filter?: EventFilter | undefined;
        batch?: { size: number; within: number } | undefined;
        orderBy?: string | undefined;
      }
    | {
        kind: 'schedule';
        id: string;
        schedule: string;
        timezone: string;
        overlap: 'allow' | 'forbid';
        missed: 'skip' | 'once' | 'all';
      };
  state: 'active' | 'paused' | 'broken';
  reason: string | null;
  waiting: number | null;
  working: number | null;
  nextAt: string | null;
  createdAt: string;
};

export type TriggerList = { items: Trigger[]; nextCursor: string | null };

export const api = {
  /** Publish events. */
  publishEvents: (
    query: { project?: string | undefined } = {},
  ): ApiCall<{ items: { id: string; subject: string }[] }> => ({
    method: 'POST',
    path: '/v1/events',
    query,
  }),
  /** List triggers. */
  listTriggers: (
    query: { project?: string | undefined; function?: string | undefined } = {},
  ): ApiCall<TriggerList> => ({
    method: 'GET',
    path: '/v1/triggers',
    query,
  }),
  /** Pause a trigger. */
  pauseTrigger: (
    name: string,
    trigger: string,
    query: { project?: string | undefined } = {},
  ): ApiCall<{ paused: boolean }> => ({
    method: 'POST',
    path: `/v1/functions/${encodeURIComponent(name)}/triggers/${encodeURIComponent(trigger)}/pause`,
    query,
  }),
  /** Resume a trigger. */
  resumeTrigger: (
    name: string,
    trigger: string,
    query: { project?: string | undefined } = {},
  ): ApiCall<{ paused: boolean }> => ({
    method: 'POST',
    path: `/v1/functions/${encodeURIComponent(name)}/triggers/${encodeURIComponent(trigger)}/resume`,
    query,
  }),
  /** When a schedule would be due. */
  previewSchedule: (
    query: { schedule?: string | undefined; timezone?: string | undefined; count?: number | undefined } = {},
  ): ApiCall<{ items: string[] }> => ({
    method: 'GET',
    path: '/v1/schedules/preview',
    query,
  }),
  /** List dead letters, the newest first. */
  listDeadLetters: (
    query: {
      project?: string | undefined;
      limit?: number | undefined;
      cursor?: string | undefined;
      id?: string | undefined;
      function?: string | undefined;
      reason?: 'rejected' | 'attempts-used-up' | 'too-old' | 'invalid-event' | 'loop' | undefined;
    } = {},
  ): ApiCall<DeadLetterList> => ({
    method: 'GET',
    path: '/v1/dead-letters',
    query,
  }),
  /** Delete dead letters for good. */
  purgeDeadLetters: (
    query: {
      project?: string | undefined;
      id?: string | undefined;
      function?: string | undefined;
      reason?: 'rejected' | 'attempts-used-up' | 'too-old' | 'invalid-event' | 'loop' | undefined;
    } = {},
  ): ApiCall<{ purged: number }> => ({
    method: 'DELETE',
    path: '/v1/dead-letters',
    query,
  }),
  /** One dead letter, with the original headers and bytes. */
  getDeadLetter: (
    id: string,
    query: { project?: string | undefined } = {},
  ): ApiCall<{
    id: string;
    project: string;
    function: string;
    trigger: string | null;
    eventId: string;
    eventType: string;
    reason: 'rejected' | 'attempts-used-up' | 'too-old' | 'invalid-event' | 'loop';
    message: string;
    attempts: number;
    lastStatus: number | null;
    lastBody: string | null;
    subject: string;
    stream: string;
    sequence: number;
    traceId: string | null;
    receivedAt: string;
    diedAt: string;
    headers: Record<string, string>;
    dataBase64: string;
  }> => ({
    method: 'GET',
    path: `/v1/dead-letters/${encodeURIComponent(id)}`,
    query,
  }),
  /** Hand dead letters to their functions again. */
  redriveDeadLetters: (
    query: {
      project?: string | undefined;
      id?: string | undefined;
      function?: string | undefined;
      reason?: 'rejected' | 'attempts-used-up' | 'too-old' | 'invalid-event' | 'loop' | undefined;
      perSecond?: number | undefined;
    } = {},
  ): ApiCall<{ accepted: true }> => ({
    method: 'POST',
    path: '/v1/dead-letters/redrive',
    query,
  }),
  /** Deploy a function. */
  deployFunction: (query: { project?: string | undefined } = {}): ApiCall<Accepted> => ({
    method: 'POST',
    path: '/v1/functions',
    query,
  }),
  /** List the functions of a project. */
  listFunctions: (
    query: { project?: string | undefined; limit?: number | undefined; cursor?: string | undefined } = {},
  ): ApiCall<FunctionList> => ({
    method: 'GET',
    path: '/v1/functions',
    query,
  }),
  /** Describe a function. */
  getFunction: (
    name: string,
    query: { project?: string | undefined } = {},
  ): ApiCall<FunctionDescription> => ({
    method: 'GET',
    path: `/v1/functions/${encodeURIComponent(name)}`,
    query,
  }),
  /** Remove a function and everything it has. */
  removeFunction: (name: string, query: { project?: string | undefined } = {}): ApiCall<Accepted> => ({
    method: 'DELETE',
    path: `/v1/functions/${encodeURIComponent(name)}`,
    query,
  }),
  /** Change how a live function scales and rests. */
  changeScale: (
    name: string,
    body: {
      min?: number | undefined;
      max?: number | undefined;
      metric?: 'concurrency' | 'lag' | 'steps' | undefined;
      target?: number | null | undefined;
      window?: string | undefined;
      steps?: { from: number; machines: number }[] | null | undefined;
      scaleDown?: 'gradual' | 'whenEmpty' | undefined;
      freezeAfter?: string | undefined;
      stopAfter?: string | undefined;
      removeAfter?: string | undefined;
      expiresAfter?: string | null | undefined;
    },
    query: { project?: string | undefined } = {},
  ): ApiCall<Accepted> => ({
    method: 'PATCH',
    path: `/v1/functions/${encodeURIComponent(name)}/scale`,
    query,
    body,
  }),
  /** Why a function has as many machines as it has. */
  listScaleDecisions: (
    name: string,
    query: { project?: string | undefined; limit?: number | undefined } = {},
  ): ApiCall<ScaleDecisionList> => ({
    method: 'GET',
    path: `/v1/functions/${encodeURIComponent(name)}/scale/decisions`,
    query,
  }),
  /** List the revisions of a function. */
  listRevisions: (
    name: string,
    query: { project?: string | undefined; limit?: number | undefined; cursor?: string | undefined } = {},
  ): ApiCall<RevisionList> => ({
    method: 'GET',
    path: `/v1/functions/${encodeURIComponent(name)}/revisions`,
    query,
  }),
  /** Read or follow the log of a function. */
  getLogs: (
    name: string,
    query: {
      project?: string | undefined;
      follow?: string | undefined;
      since?: string | undefined;
      tail?: number | undefined;
      machine?: string | undefined;
      after?: string | undefined;
    } = {},
  ): ApiCall<LogLine> => ({
    method: 'GET',
    path: `/v1/functions/${encodeURIComponent(name)}/logs`,
    query,
  }),
  /** One deployment, with each of its steps. */
  getDeployment: (id: string): ApiCall<Deployment> => ({
    method: 'GET',
    path: `/v1/deployments/${encodeURIComponent(id)}`,
    query: {},
  }),
  /** Follow a deployment. */
  followDeployment: (id: string): ApiCall<string> => ({
    method: 'GET',
    path: `/v1/deployments/${encodeURIComponent(id)}/events`,
    query: {},
  }),
  /** What the build of a deployment is made of. */
  getSbom: (id: string): ApiCall<Sbom> => ({
    method: 'GET',
    path: `/v1/deployments/${encodeURIComponent(id)}/sbom`,
    query: {},
  }),
  /** Cancel a deployment. */
  cancelDeployment: (id: string): ApiCall<Accepted> => ({
    method: 'POST',
    path: `/v1/deployments/${encodeURIComponent(id)}/cancel`,
    query: {},
  }),
  /** List machines. */
  listMachines: (
    query: {
      project?: string | undefined;
      limit?: number | undefined;
      cursor?: string | undefined;
      function?: string | undefined;
    } = {},
  ): ApiCall<MachineList> => ({
    method: 'GET',
    path: '/v1/machines',
    query,
  }),
  /** Describe a machine. */
  getMachine: (id: string): ApiCall<Machine> => ({
    method: 'GET',
    path: `/v1/machines/${encodeURIComponent(id)}`,
    query: {},
  }),
  /** Remove a machine. */
  removeMachine: (id: string): ApiCall<Machine> => ({
    method: 'DELETE',
    path: `/v1/machines/${encodeURIComponent(id)}`,
    query: {},
  }),
  /** Start a machine. */
  startMachine: (id: string): ApiCall<Machine> => ({
    method: 'POST',
    path: `/v1/machines/${encodeURIComponent(id)}/start`,
    query: {},
  }),
  /** Stop a machine. */
  stopMachine: (id: string): ApiCall<Machine> => ({
    method: 'POST',
    path: `/v1/machines/${encodeURIComponent(id)}/stop`,
    query: {},
  }),
  /** Freeze a machine. */
  freezeMachine: (id: string): ApiCall<Machine> => ({
    method: 'POST',
    path: `/v1/machines/${encodeURIComponent(id)}/freeze`,
    query: {},
  }),
  /** Thaw a machine. */
  thawMachine: (id: string): ApiCall<Machine> => ({
    method: 'POST',
    path: `/v1/machines/${encodeURIComponent(id)}/thaw`,
    query: {},
  }),
  /** Wait until a machine is in a state. */
  waitForMachine: (
    id: string,
    query: {
      state?: 'creating' | 'starting' | 'running' | 'frozen' | 'stopped' | 'failed' | 'removed' | undefined;
      timeout?: string | undefined;
    } = {},
  ): ApiCall<Machine> => ({
    method: 'GET',
    path: `/v1/machines/${encodeURIComponent(id)}/wait`,
    query,
  }),
  /** What a machine used. */
  getMachineStats: (
    id: string,
    query: { since?: string | undefined; limit?: number | undefined; follow?: string | undefined } = {},
  ): ApiCall<MachineSampleList> => ({
    method: 'GET',
    path: `/v1/machines/${encodeURIComponent(id)}/stats`,
    query,
  }),
  /** What the host may give to machines, and what is given. */
  getCapacity: (): ApiCall<Capacity> => ({
    method: 'GET',
    path: '/v1/capacity',
    query: {},
  }),
  /** What functions run on, and why. */
  getDriver: (): ApiCall<DriverChoice> => ({
    method: 'GET',
    path: '/v1/driver',
    query: {},
  }),
  /** List templates: those of the project, and those that are always there. */
  listTemplates: (query: { project?: string | undefined } = {}): ApiCall<TemplateList> => ({
    method: 'GET',
    path: '/v1/templates',
    query,
  }),
  /** Create a template. */
  createTemplate: (query: { project?: string | undefined } = {}): ApiCall<Template> => ({
    method: 'POST',
    path: '/v1/templates',
    query,
  }),
  /** Describe a template. */
  getTemplate: (name: string, query: { project?: string | undefined } = {}): ApiCall<Template> => ({
    method: 'GET',
    path: `/v1/templates/${encodeURIComponent(name)}`,
    query,
  }),
  /** Make the next version of a template; what was built stays as it is. */
  updateTemplate: (name: string, query: { project?: string | undefined } = {}): ApiCall<Template> => ({
    method: 'PUT',
    path: `/v1/templates/${encodeURIComponent(name)}`,
    query,
  }),
  /** Delete a template that no function uses. */
  deleteTemplate: (name: string, query: { project?: string | undefined } = {}): ApiCall<Template> => ({
    method: 'DELETE',
    path: `/v1/templates/${encodeURIComponent(name)}`,
    query,
  }),
  /** List routes. */
  listRoutes: (query: { project?: string | undefined } = {}): ApiCall<RouteList> => ({
    method: 'GET',
    path: '/v1/routes',
    query,
  }),
  /** The spans of one trace. */
  getTrace: (traceId: string): ApiCall<Trace> => ({
    method: 'GET',
    path: `/v1/traces/${encodeURIComponent(traceId)}`,
    query: {},
  }),
  /** The gateway runs. */
  getHealthz: (): ApiCall<string> => ({
    method: 'GET',
    path: '/healthz',
    query: {},
  }),
  /** Every room can work. */
  getReadyz: (): ApiCall<PlatformHealth> => ({
    method: 'GET',
    path: '/readyz',
    query: {},
  }),
  /** Metrics, in the text format of Prometheus. */
  getMetrics: (): ApiCall<string> => ({
    method: 'GET',
    path: '/metrics',
    query: {},
  }),
  /** This description. */
  getOpenapi: (): ApiCall<Record<string, unknown>> => ({
    method: 'GET',
    path: '/openapi.json',
    query: {},
  }),
  /** This description, to read. */
  getDocs: (): ApiCall<string> => ({
    method: 'GET',
    path: '/docs',
    query: {},
  }),
};
