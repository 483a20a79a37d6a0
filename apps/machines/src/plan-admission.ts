/** What one machine takes of the host while it runs or is frozen: what it may use, not what it does use. */
export interface Share {
  readonly id: string;
  readonly project: string;
  readonly function: string;
  /** Bytes. */
  readonly memory: number;
  /** Cores. */
  readonly cpu: number;
  /** Milliseconds since 1970 from when it rests frozen; null while it does not. */
  readonly frozenSince: number | null;
}

/** Infinity is no limit. */
export interface AdmissionLimits {
  readonly host: { readonly memory: number; readonly cpu: number; readonly machines: number };
  /** Of each project. */
  readonly project: { readonly memory: number; readonly machines: number };
}

export type AdmissionPlan =
  | { kind: 'admit' }
  /** There is room once these frozen machines are stopped. */
  | { kind: 'reclaim'; stop: string[] }
  | { kind: 'refuse'; code: 'no-capacity' | 'over-quota'; reason: string };

/**
 * Whether a machine may start beside those that hold a share. When it does not fit, frozen ones make room, those that rest
 * longest first: of its own project when the project is full, of any when the host is.
 */
export function planAdmission(
  asked: Share,
  holding: readonly Share[],
  { host, project }: AdmissionLimits,
): AdmissionPlan {
  const limits = { 'over-quota': project, 'no-capacity': host } as const;
  const frozen = holding
    .filter(({ id, frozenSince }) => id !== asked.id && frozenSince !== null)
    .sort((a, b) => (a.frozenSince ?? 0) - (b.frozenSince ?? 0));
  let left = holding.filter(({ id }) => id !== asked.id);
  const stop: string[] = [];
  for (const code of ['over-quota', 'no-capacity'] as const) {
    const counts = (share: Share): boolean => code === 'no-capacity' || share.project === asked.project;
    for (;;) {
      const lack = firstLack(asked, left.filter(counts), limits[code]);
      if (!lack) break;
      const victim = frozen.find((share) => counts(share) && !stop.includes(share.id));
      if (!victim) return { kind: 'refuse', code, reason: explain(asked, code, lack) };
      stop.push(victim.id);
      left = left.filter(({ id }) => id !== victim.id);
    }
  }
  return stop.length > 0 ? { kind: 'reclaim', stop } : { kind: 'admit' };
}

interface Lack {
  readonly of: 'memory' | 'cpu' | 'machines';
  readonly limit: number;
  readonly taken: number;
  readonly needed: number;
}

function firstLack(
  asked: Share,
  holding: readonly Share[],
  limits: Partial<AdmissionLimits['host']>,
): Lack | undefined {
  const { memory, cpu, machines } = totalOf(holding);
  const lacks: Lack[] = [
    { of: 'memory', limit: limits.memory ?? Infinity, taken: memory, needed: asked.memory },
    { of: 'cpu', limit: limits.cpu ?? Infinity, taken: cpu, needed: asked.cpu },
    { of: 'machines', limit: limits.machines ?? Infinity, taken: machines, needed: 1 },
  ];
  // Shares of a core add up with an error in the last digits.
  return lacks.find(({ limit, taken, needed }) => taken + needed > limit + 1e-9);
}

export function totalOf(holding: readonly Share[]): { memory: number; cpu: number; machines: number } {
  return {
    memory: holding.reduce((sum, share) => sum + share.memory, 0),
    cpu: holding.reduce((sum, share) => sum + share.cpu, 0),
    machines: holding.length,
  };
}

function explain(
  asked: Share,
  code: 'no-capacity' | 'over-quota',
  { of, limit, taken, needed }: Lack,
): string {
  const owner = code === 'no-capacity' ? 'The host' : `The project ${asked.project}`;
  if (of === 'machines') return `${owner} may have ${limit} machines up at a time, and ${taken} are.`;
  const say = of === 'memory' ? renderBytes : (cores: number) => `${Math.round(cores * 100) / 100} cores`;
  const what = `a machine of ${asked.function} needs ${say(needed)}${of === 'memory' ? ' of memory' : ''}`;
  const gives = `${owner} gives its machines ${say(limit)}`;
  if (needed > limit) return `${gives}, and ${what}.`;
  return `${gives}, of which ${say(taken)} ${of === 'memory' ? 'is' : 'are'} taken, and ${what}.`;
}

export function renderBytes(bytes: number): string {
  const mebibytes = bytes / 1024 ** 2;
  return mebibytes >= 1024 ? `${Math.round(mebibytes / 102.4) / 10} GiB` : `${Math.round(mebibytes)} MiB`;
}
