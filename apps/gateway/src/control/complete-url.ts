/** Other rooms know a function's hostname, but not where the gateway listens; callers need both. */
export function completeUrl<T extends { url: string | null }>(record: T, port: number): T {
  if (record.url === null || port === 80 || port === 0) return record;
  return { ...record, url: `${record.url}:${port}` };
}
