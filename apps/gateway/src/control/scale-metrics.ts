import type { ScaleDecision } from '#contracts';

interface FunctionScale {
  decisions: Map<'up' | 'down', number>;
  last: ScaleDecision;
}

/** What was decided on the number of machines since this process runs, by function. */
export class ScaleMetrics {
  /** By labels. */
  private readonly functions = new Map<string, FunctionScale>();

  hear(decision: ScaleDecision): void {
    const labels = `project="${decision.project}",function_name="${decision.function}"`;
    const known = this.functions.get(labels);
    const decisions = known?.decisions ?? new Map();
    const direction = decision.to > decision.from ? 'up' : 'down';
    decisions.set(direction, (decisions.get(direction) ?? 0) + 1);
    this.functions.set(labels, { decisions, last: decision });
  }

  /** Prometheus text format. */
  render(): string {
    const gauge = (name: string, help: string, valueOf: (last: ScaleDecision) => number) => [
      `# HELP ${name} ${help}`,
      `# TYPE ${name} gauge`,
      ...[...this.functions].map(([labels, { last }]) => `${name}{${labels}} ${valueOf(last)}`),
    ];
    const lines = [
      '# HELP cestx_scale_decisions_total Decisions for more or fewer machines.',
      '# TYPE cestx_scale_decisions_total counter',
      ...[...this.functions].flatMap(([labels, { decisions }]) =>
        [...decisions].map(
          ([direction, count]) => `cestx_scale_decisions_total{${labels},direction="${direction}"} ${count}`,
        ),
      ),
      ...gauge('cestx_scale_wanted_machines', 'Machines the last decision asked for.', ({ to }) => to),
      ...gauge('cestx_scale_calls', 'Calls at a time the last decision was made on.', (last) =>
        last.panic ? last.panicValue : last.value,
      ),
      ...gauge(
        'cestx_scale_target_calls',
        'Calls at a time one machine should have.',
        ({ target }) => target,
      ),
    ];
    return `${lines.join('\n')}\n`;
  }
}
