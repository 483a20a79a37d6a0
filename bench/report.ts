export interface Measured {
  name: string;
  value: number;
  unit: string;
  /** The bound, measured in the same run. */
  bound?: number;
  /** What must hold, in words, and whether it does. */
  gate?: string;
  met?: boolean;
}

/** Prints one line a figure: the value, the bound it is compared with, their ratio, and the gate. */
export function report(measured: Measured): void {
  if (process.env['CESTX_BENCH_JSON']) {
    process.stdout.write(`${JSON.stringify(measured)}\n`);
    return;
  }
  const { name, value, unit, bound, gate, met } = measured;
  const ratio = bound === undefined ? '' : `bound ${format(bound)} ${unit}, ratio ${format(value / bound)}`;
  const verdict = gate === undefined ? '' : `gate ${gate}: ${met ? 'met' : 'NOT MET'}`;
  process.stdout.write(
    `${name.padEnd(44)} ${`${format(value)} ${unit}`.padStart(14)}  ${ratio.padEnd(36)} ${verdict}\n`,
  );
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN;
}

function format(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
