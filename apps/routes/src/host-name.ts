import { CestxError } from '#contracts';

/** Characters of a whole name, without the final dot (RFC 1035: 255 octets on the wire). */
const longestName = 253;

/** `<function>.<domain>` in the default project, else `<function>.<project>.<domain>`: the two never meet, they differ in depth. */
export function hostName(key: { project: string; function: string }, domain: string): string {
  const host =
    key.project === 'default' ? `${key.function}.${domain}` : `${key.function}.${key.project}.${domain}`;
  if (host.length > longestName) {
    throw new CestxError(
      'bad-request',
      `The hostname of ${key.function} would have ${host.length} characters; DNS allows ${longestName}. Choose a shorter name for the function or the project.`,
    );
  }
  return host;
}
