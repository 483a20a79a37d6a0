/** A subject with its last, changing token as `*`: few enough names for spans and metrics. */
export function subjectTemplate(subject: string): string {
  const [root, ...rest] = subject.split('.');
  if (root === '$KV') return `$KV.${rest[0] ?? '*'}.*`;
  return [root, ...rest.slice(0, -1), '*'].join('.');
}
