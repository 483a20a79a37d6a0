/** What npm's and the engine's error output means, most telling first. `$1` stands for what was captured. */
const explanations: [RegExp, string][] = [
  [
    /can only install packages when your package\.json and package-lock\.json .*are in sync/,
    'package-lock.json does not match package.json',
  ],
  [/can only install with an existing package-lock\.json/, 'package-lock.json cannot be read or is too old'],
  [
    /(?:SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_GET_ISSUER_CERT_LOCALLY|UNABLE_TO_VERIFY_LEAF_SIGNATURE)/,
    'the certificate of the package registry is not trusted; set CESTX_BUILD_CA_FILE to the file of your certificate authority',
  ],
  [/No matching version found for (\S+?)\.?$/, 'there is no version $1'],
  [
    /(?:code E404[^]*?)'?((?:@[\w.-]+\/)?[\w.-]+@[^' ]+)'? is not in this registry/,
    'the package $1 does not exist',
  ],
  [/code E404/, 'a package does not exist in the registry'],
  [/code ERESOLVE/, 'the dependencies contradict each other (ERESOLVE)'],
  [/code EINTEGRITY/, 'a package is not the one package-lock.json names (EINTEGRITY)'],
  [/code EBADENGINE/, 'a package does not run on this version of Node.js (EBADENGINE)'],
  [/EJSONPARSE/, 'package.json or package-lock.json is not valid JSON'],
  [/ENOSPC|no space left on device/, 'the disk is full'],
  [
    /JavaScript heap out of memory|Array buffer allocation failed|ERR_MEMORY_ALLOCATION_FAILED|bad_alloc|Killed|Cannot allocate memory|exit code 137|returned a non-zero code: 137/,
    'it needed more memory than a build may have; raise CESTX_BUILD_MEMORY',
  ],
  [/Missing script: "([^"]+)"/, 'package.json has no script "$1"'],
  [
    /(?:pull access denied|manifest unknown|no such image|not found: manifest)[^\n]*/i,
    'a base image cannot be had ($&)',
  ],
];

const registryTrouble =
  /\b(ETIMEDOUT|ECONNRESET|ECONNREFUSED|EAI_AGAIN|ENOTFOUND|ERR_SOCKET_TIMEOUT|E50[0234]|EIDLETIMEOUT|ENETUNREACH)\b|network request to .* failed|socket hang up/;

/** Whether another try may help: the package registry was away, which is nobody's mistake. */
export function isRegistryTrouble(lines: readonly string[]): boolean {
  return registryTrouble.test(lines.filter((line) => /npm (ERR!|error)/.test(line)).join('\n'));
}

/** One plain sentence for why a step of a build failed. */
export function explainFailure(step: string, lines: readonly string[], exit: string): string {
  const text = lines.join('\n');
  for (const [pattern, meaning] of explanations) {
    const match = new RegExp(pattern.source, `${pattern.flags}m`).exec(text);
    if (!match) continue;
    const reason = meaning.replace('$1', match[1] ?? '').replace('$&', match[0]);
    return `${step} failed: ${reason}.`;
  }
  if (isRegistryTrouble(lines)) {
    const code = registryTrouble.exec(text)?.[1];
    return `${step} failed: the package registry did not answer${code ? ` (${code})` : ''}.`;
  }
  return `${step} failed: ${exit}.`;
}
