/** What the output of package managers, compilers and the engine means, most telling first. `$1` stands for what was captured. */
const explanations: [RegExp, string][] = [
  [
    /can only install packages when your package\.json and package-lock\.json .*are in sync/,
    'package-lock.json does not match package.json; run npm install and deploy again',
  ],
  [
    /specifiers in the lockfile don't match|ERR_PNPM_OUTDATED_LOCKFILE/,
    'pnpm-lock.yaml does not match package.json; run pnpm install and deploy again',
  ],
  [
    /Your lockfile needs to be updated, but yarn|lockfile would have been modified by this install/,
    'yarn.lock does not match package.json; run yarn install and deploy again',
  ],
  [
    /lockfile at `uv\.lock` needs to be updated/,
    'uv.lock does not match pyproject.toml; run uv lock and deploy again',
  ],
  [
    /pyproject\.toml changed significantly since poetry\.lock|poetry\.lock is not up to date/,
    'poetry.lock does not match pyproject.toml; run poetry lock and deploy again',
  ],
  [
    /do not match the hashes from the requirements file/i,
    'a package is not the one its hash names; write the hashes of the requirements anew, or find out who changed the package',
  ],
  [
    /verifying (\S+?): checksum mismatch|SECURITY ERROR/,
    'a module is not the one go.sum names; run go mod tidy if you changed versions, or find out who changed the module',
  ],
  [/missing go\.sum entry/, 'go.sum does not match go.mod; run go mod tidy and deploy again'],
  [/updates to go\.(?:mod|sum) needed/, 'go.mod is not complete; run go mod tidy and deploy again'],
  [/inconsistent vendoring/, 'vendor does not match go.mod; run go mod vendor and deploy again'],
  [
    /no required module provides package ([^\s;]+)/,
    'go.mod does not name the module of $1; run go mod tidy and deploy again',
  ],
  [/package (\S+) is not in (?:std|GOROOT)/, 'there is no package $1'],
  [
    /(?:download (go[\d.]+)\S*: |requires (go >= [\d.]+) \(running)/,
    'it asks for $1, which cannot be had here; lower the "go" line of go.mod, or build with a newer Go (CESTX_IMAGE_GO)',
  ],
  [
    /^(?:go: )?(\S+@\S+): (?:reading|invalid version|unknown revision|unrecognized import path)/,
    'there is no module $1',
  ],
  [
    /(?:requires a different Python: (\S+ not in [^\n]+?)\.?$|incompatible with the project's Python requirement: `([^`]+)`)/,
    'the project asks for another Python than there is here ($1); change its requires-python, or build with another Python (CESTX_IMAGE_PYTHON)',
  ],
  [/No matching distribution found for ([^\n]+)$/, 'there is no $1 for this Python'],
  [
    /ResolutionImpossible|No solution found when resolving dependencies|version solving failed/,
    'the dependencies contradict each other',
  ],
  [
    /ModuleNotFoundError: No module named '([^']+)'/,
    'the Python module $1 is not installed; name its package among the dependencies',
  ],
  [
    /No module named (?:venv|ensurepip)|ensurepip is not available/,
    'Python has no venv module here; install it (on Debian: apt-get install python3-venv)',
  ],
  [/ERR_PNPM_FETCH_404[^\n]*?\/([^/\s:]+): /, 'the package $1 does not exist'],
  [/Couldn't find package "([^"]+)"/, 'the package $1 does not exist'],
  [
    /(?:ERR_PNPM_NO_MATCHING_VERSION|Couldn't find any versions for)[^"\n]*"?([^"\n]*)/,
    'there is no such version of a package ($1)',
  ],
  [/can only install with an existing package-lock\.json/, 'package-lock.json cannot be read or is too old'],
  [
    /(?:SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_GET_ISSUER_CERT_LOCALLY|UNABLE_TO_VERIFY_LEAF_SIGNATURE)/,
    'the certificate of the package registry is not trusted; set CESTX_BUILD_CA_FILE to the file of your certificate authority',
  ],
  [/No matching version found for (\S+?)\.?$/, 'there is no version $1'],
  [
    /(?:code E404[^]*?)'?((?:@[\w.-]+\/)?[\w.-]+@[^' ]+)'? (?:is not in this registry|could not be found)/,
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
  [
    /[Cc]an(?:not|'t) fork|fork: .*Resource temporarily unavailable|spawn \S+ EAGAIN|BlockingIOError: .*Resource temporarily|fork\/exec .*resource temporarily/,
    'it started more processes than a build may have at once',
  ],
  [/Missing script: "([^"]+)"/, 'package.json has no script "$1"'],
  [
    /(?:pull access denied|manifest unknown|no such image|not found: manifest)[^\n]*/i,
    'a base image cannot be had ($&)',
  ],
];

const registryTrouble =
  /\b(ETIMEDOUT|ECONNRESET|ECONNREFUSED|EAI_AGAIN|ENOTFOUND|ERR_SOCKET_TIMEOUT|E50[0234]|EIDLETIMEOUT|ENETUNREACH)\b|network request to .* failed|socket hang up|Read timed out|Connection (?:refused|reset)|connection (?:refused|reset)|i\/o timeout|TLS handshake timeout|no such host|Temporary failure in name resolution|50[0234] (?:Server Error|Bad Gateway|Service Unavailable|Gateway Time-?out)/;

/** Lines that a package manager wrote; what a program of the user says of a network is its own affair. */
const packageManager =
  /npm (ERR!|error)|ERR_PNPM_|^(error|info) .*registry|YN00|^(WARNING: Retrying|ERROR: (Could not install|HTTP error))|pip\._vendor|proxy\.golang\.org|sum\.golang\.org|^error: (Failed to fetch|Request failed)/;

/** Whether another try may help: the package registry was away, which is nobody's mistake. */
export function isRegistryTrouble(lines: readonly string[]): boolean {
  return registryTrouble.test(lines.filter((line) => packageManager.test(line)).join('\n'));
}

/** One plain sentence for why a step of a build failed. */
export function explainFailure(step: string, lines: readonly string[], exit: string): string {
  const text = lines.join('\n');
  for (const [pattern, meaning] of explanations) {
    const match = new RegExp(pattern.source, `${pattern.flags}m`).exec(text);
    if (!match) continue;
    const reason = meaning.replace('$1', match.slice(1).find(Boolean) ?? '').replace('$&', match[0]);
    return `${step} failed: ${reason}.`;
  }
  if (isRegistryTrouble(lines)) {
    const code = registryTrouble.exec(text)?.[1];
    return `${step} failed: the package registry did not answer${code ? ` (${code})` : ''}.`;
  }
  return `${step} failed: ${exit}.`;
}
