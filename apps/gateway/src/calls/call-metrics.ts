/** Upper bounds in seconds; the last bucket is without a bound. */
const bounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** How often something took how long. */
class Histogram {
  private readonly buckets = bounds.map(() => 0);
  private seconds = 0;
  private count = 0;

  record(seconds: number): void {
    this.seconds += seconds;
    this.count++;
    const bucket = bounds.findIndex((bound) => seconds <= bound);
    if (bucket >= 0) this.buckets[bucket] = (this.buckets[bucket] ?? 0) + 1;
  }

  render(name: string, label: string): string[] {
    let sum = 0;
    const lines = bounds.map((bound, index) => {
      sum += this.buckets[index] ?? 0;
      return `${name}_bucket{${label},le="${bound}"} ${sum}`;
    });
    lines.push(`${name}_bucket{${label},le="+Inf"} ${this.count}`, `${name}_sum{${label}} ${this.seconds}`);
    return [...lines, `${name}_count{${label}} ${this.count}`];
  }
}

interface FunctionCalls {
  codes: Map<number, number>;
  times: Histogram;
}

/** Counts calls by function and status; kept by hand because it is on the way of every call. Unknown names are not kept. */
export class CallMetrics {
  private readonly functions = new Map<string, FunctionCalls>();
  private readonly coldStarts = new Map<string, Histogram>();

  record(functionName: string, status: number, seconds: number): void {
    let calls = this.functions.get(functionName);
    if (!calls) {
      calls = { codes: new Map(), times: new Histogram() };
      this.functions.set(functionName, calls);
    }
    calls.codes.set(status, (calls.codes.get(status) ?? 0) + 1);
    calls.times.record(seconds);
  }

  /** Calls waited so many seconds until a machine was woken from the state `kind`. */
  recordColdStart(kind: string, seconds: number): void {
    let times = this.coldStarts.get(kind);
    if (!times) this.coldStarts.set(kind, (times = new Histogram()));
    times.record(seconds);
  }

  /** Prometheus text format. */
  render(now: { serviceCount: number; held: number }): string {
    const lines = [
      '# HELP gateway_function_invocation_total Calls by function and status.',
      '# TYPE gateway_function_invocation_total counter',
    ];
    for (const [name, { codes }] of this.functions) {
      for (const [code, count] of codes) {
        lines.push(`gateway_function_invocation_total{function_name="${name}",code="${code}"} ${count}`);
      }
    }
    lines.push(
      '# HELP gateway_functions_seconds How long calls took.',
      '# TYPE gateway_functions_seconds histogram',
    );
    for (const [name, { times }] of this.functions) {
      lines.push(...times.render('gateway_functions_seconds', `function_name="${name}"`));
    }
    lines.push(
      '# HELP cestx_cold_start_seconds From the first call that waited until a machine could be called, by the state it was in.',
      '# TYPE cestx_cold_start_seconds histogram',
    );
    for (const [kind, times] of this.coldStarts) {
      lines.push(...times.render('cestx_cold_start_seconds', `kind="${kind}"`));
    }
    lines.push(
      '# HELP gateway_service_count Functions that have a route.',
      '# TYPE gateway_service_count gauge',
      `gateway_service_count ${now.serviceCount}`,
      '# HELP cestx_held_calls Calls that wait for a machine.',
      '# TYPE cestx_held_calls gauge',
      `cestx_held_calls ${now.held}`,
      ...processMetrics(),
    );
    return `${lines.join('\n')}\n`;
  }
}

function processMetrics(): string[] {
  const cpu = process.cpuUsage();
  const memory = process.memoryUsage();
  const gauge = (name: string, help: string, value: number, type = 'gauge') => [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} ${type}`,
    `${name} ${value}`,
  ];
  return [
    ...gauge('process_cpu_seconds_total', 'Time on the processor.', (cpu.user + cpu.system) / 1e6, 'counter'),
    ...gauge('process_resident_memory_bytes', 'Resident memory.', memory.rss),
    ...gauge('process_start_time_seconds', 'Start, since the epoch.', Date.now() / 1000 - process.uptime()),
    ...gauge('nodejs_heap_size_used_bytes', 'Used heap.', memory.heapUsed),
    ...gauge('nodejs_heap_size_total_bytes', 'Heap.', memory.heapTotal),
  ];
}
