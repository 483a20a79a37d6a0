/** Printable ASCII but blank, quote and percent goes as it is (CloudEvents HTTP binding 1.0, 3.1.3.2 "HTTP Header Values"). */
export function encodeHeaderValue(value: string): string {
  return value.replaceAll(/[^\u0021\u0023\u0024\u0026-\u007e]/gu, (character) =>
    [...Buffer.from(character)]
      .map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`)
      .join(''),
  );
}

/** The reverse; a value in quotes loses them, and what is no encoded UTF-8 stays as it is. */
export function decodeHeaderValue(value: string): string {
  const text = /^".*"$/s.test(value) ? value.slice(1, -1).replaceAll(/\\(.)/gs, '$1') : value;
  return text.replaceAll(/(?:%[0-9A-Fa-f]{2})+/g, (run) => {
    try {
      return decodeURIComponent(run);
    } catch {
      return run;
    }
  });
}
