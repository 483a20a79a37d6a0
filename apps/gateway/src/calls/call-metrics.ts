/** Upper bounds in seconds; the last bucket is without a bound. */
const bounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

interface FunctionCalls {
  codes: Map<number, number>;
  buckets: number[];
  seconds: number;
  count: number;
}

/** Counts calls by function and status; kept by hand because it is on the way of every call. Unknown names are not kept. */
export class CallMetrics {
  private readonly functions = new Map<string, FunctionCalls>();

  record(functionName: string, status: number, seconds: number): void {
    let calls = this.functions.get(functionName);
    if (!calls) {
      calls = { codes: new Map(), buckets: bounds.map(() => 0), seconds: 0, count: 0 };
      this.functions.set(functionName, calls);
    }
    calls.codes.set(status, (calls.codes.get(status) ?? 0) + 1);
    calls.seconds += seconds;
    calls.count++;
    const bucket = bounds.findIndex((bound) => seconds <= bound);
    if (bucket >= 0) calls.buckets[bucket] = (calls.buckets[bucket] ?? 0) + 1;
  }

  /** Prometheus text format. */
  render(serviceCount: number): string {
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
    for (const [name, calls] of this.functions) {
      let sum = 0;
      bounds.forEach((bound, index) => {
        sum += calls.buckets[index] ?? 0;
        lines.push(`gateway_functions_seconds_bucket{function_name="${name}",le="${bound}"} ${sum}`);
      });
      lines.push(
        `gateway_functions_seconds_bucket{function_name="${name}",le="+Inf"} ${calls.count}`,
        `gateway_functions_seconds_sum{function_name="${name}"} ${calls.seconds}`,
        `gateway_functions_seconds_count{function_name="${name}"} ${calls.count}`,
      );
    }
    lines.push(
      '# HELP gateway_service_count Functions that have a route.',
      '# TYPE gateway_service_count gauge',
      `gateway_service_count ${serviceCount}`,
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
