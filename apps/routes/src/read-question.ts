export interface RawQuestion {
  /** Lower case, for looking up. A dot inside a label is written `\046`, so it never passes for a boundary. */
  key: string;
  /** As it was asked, upper and lower case kept: resolvers mix them and compare (the "0x20" defence). */
  name: string;
  type: number;
  class: number;
  /** The question as it stood in the query, to be sent back unchanged. */
  bytes: Buffer;
}

const headerBytes = 12;

/**
 * The first question of a query, or null when it is malformed.
 *
 * Read from the bytes: dns-packet decodes labels as UTF-8 and joins them with dots, which is not reversible, and the
 * answer must repeat the question exactly. A compression pointer has nothing to point at here.
 */
export function readQuestion(query: Buffer): RawQuestion | null {
  const labels: string[] = [];
  let at = headerBytes;
  for (;;) {
    const length = query[at];
    if (length === undefined || length > 63) return null;
    at += 1;
    if (length === 0) break;
    if (at + length > query.length || at + length - headerBytes > 254) return null;
    labels.push(query.toString('latin1', at, at + length));
    at += length;
  }
  if (at + 4 > query.length) return null;
  const name = labels.map((label) => label.replaceAll('.', '\\046')).join('.');
  return {
    key: lowerCaseAscii(name),
    name,
    type: query.readUInt16BE(at),
    class: query.readUInt16BE(at + 2),
    bytes: query.subarray(headerBytes, at + 4),
  };
}

/** DNS knows only ASCII case (RFC 4343). */
function lowerCaseAscii(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}
